// SPDX-License-Identifier: MIT OR Apache-2.0
//! Leaves the card alone until it expires, again and again.

use latchwork::CpuStats;

use super::line;
use crate::cpu::MAX_CPUS;
use crate::device::watchdog_card::Startable;
use crate::nmi::NMI;
use crate::scenario::{Run, sleepers};
use crate::time;
use crate::waiting::awaited;

/// How long the card is left alone.
pub(super) const TIMEOUT_MS: u64 = 40;

/// The results of the expiries of one phase.
#[derive(Debug, Default)]
pub(super) struct Expiries {
    /// Times that the card was started and left alone.
    pub(super) starts: u64,
    /// Open CPUs, summed over all starts: the NMIs that are due.
    pub(super) due: u64,
    /// Times that an open CPU took another number of NMIs than one, or a closed one any.
    pub(super) miscounts: u64,
    /// Times that the timeout bit was not claimed exactly once.
    pub(super) misclaims: u64,
    /// Times that the timeout bit was set when all was over.
    pub(super) bit_kept: u64,
    /// NMIs that came, and how they ended: the library's count.
    pub(super) edges: u64,
    pub(super) claimed: u64,
    pub(super) absorbed: u64,
    pub(super) deferred: u64,
    pub(super) unknown: u64,
    /// Claims of the timeout bit, in NMIs or outside.
    pub(super) by_bit: u64,
    /// From the start to each NMI: the shortest and the longest time. `None` before the first.
    pub(super) span_us: Option<(u64, u64)>,
    /// An expiry did not come, and the scenario waited for no other.
    pub(super) gave_up: bool,
}

impl Expiries {
    /// Starts the card, leaves it alone, and waits until every open CPU has taken an NMI. With
    /// `pinging`, it pings the card instead.
    pub(super) fn expire(&mut self, run: &Run, card: &mut Startable, pinging: bool) {
        if self.gave_up {
            return;
        }
        let before = snapshot();
        let bits_before = line::claims();
        line::start_over();
        let start_ticks = time::now_ticks();
        super::start(card, if pinging { super::PINGED_TIMEOUT_MS } else { TIMEOUT_MS });
        let nmis = awaited!("the card's NMI on all open CPUs");
        self.gave_up = !sleepers::wait_until(nmis, || {
            if pinging {
                card.card.ping();
            }
            (0..run.cpus)
                .filter(|cpu| line::is_open(*cpu))
                .all(|cpu| line::arrived_ticks(cpu).is_some())
        });
        super::stop(card);
        run.settle();

        self.starts += 1;
        self.count(run, &before);
        let bits = line::claims();
        self.by_bit += bits - bits_before;
        self.misclaims += u64::from(bits - bits_before != 1);
        self.bit_kept += u64::from(card.card.has_expired());
        for arrived_ticks in (0..run.cpus).filter_map(line::arrived_ticks) {
            self.note_arrival(arrived_ticks.saturating_sub(start_ticks));
        }
        run.let_grants_end();
    }

    fn count(&mut self, run: &Run, before: &[CpuStats; MAX_CPUS]) {
        for (cpu, (after, before)) in snapshot().iter().zip(before).enumerate().take(run.cpus) {
            let edges = after.edges - before.edges;
            let due = usize::from(line::is_open(cpu));
            self.due += due as u64;
            self.miscounts += u64::from(edges != due);
            self.edges += edges as u64;
            self.claimed += (after.claimed - before.claimed) as u64;
            self.absorbed += (after.absorbed - before.absorbed) as u64;
            self.deferred += (after.deferred - before.deferred) as u64;
            self.unknown += (after.unknown - before.unknown) as u64;
        }
    }

    fn note_arrival(&mut self, after_ticks: u64) {
        let after_us = after_ticks * 1000 / time::ticks_per_ms();
        let (shortest, longest) = self.span_us.unwrap_or((after_us, after_us));
        self.span_us = Some((shortest.min(after_us), longest.max(after_us)));
    }
}

fn snapshot() -> [CpuStats; MAX_CPUS] {
    core::array::from_fn(|cpu| NMI.cpu_stats(cpu).unwrap_or_default())
}
