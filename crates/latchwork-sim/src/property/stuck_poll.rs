// SPDX-License-Identifier: MIT OR Apache-2.0
//! Polls that do not end, because their CPU hangs, and what a deferred edge waits for them.
//!
//! A CPU judges its edge without the poll once the edge has waited for the cap. So up to the cap,
//! time in which a CPU may be stuck amid a poll counts towards no limit of a deferred edge. That is
//! a CPU that hung in an NMI or in its tick and is not marked offline yet.

use crate::machine::{CpuSet, Fact, Timing};

/// The CPUs that may be stuck amid a poll.
#[derive(Debug, Hash)]
pub(super) struct StuckPolls {
    /// By CPU: how many NMIs and ticks it is in.
    inside: Vec<usize>,
    stuck: CpuSet,
    cap_us: u64,
}

/// How long a deferred edge has waited, the time for a stuck poll apart.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(super) struct Wait {
    pub(super) us: u64,
    for_stuck_us: u64,
}

impl StuckPolls {
    pub(super) fn new(cpus: usize, timing: &Timing) -> Self {
        Self { inside: vec![0; cpus], stuck: CpuSet(0), cap_us: timing.cap_us }
    }

    pub(super) fn note(&mut self, fact: &Fact) {
        match *fact {
            Fact::Taken { cpu, .. } | Fact::Ticked(cpu) => self.inside[cpu] += 1,
            Fact::Ended { cpu, .. } | Fact::TickEnded(cpu) => {
                self.inside[cpu] = self.inside[cpu].saturating_sub(1);
            }
            Fact::Hung(cpu) if self.inside[cpu] != 0 => self.stuck.add(cpu),
            Fact::WentOffline(cpu) => {
                self.inside[cpu] = 0;
                self.stuck.remove(cpu);
            }
            _ => {}
        }
    }

    /// How much of a wait may still be for a stuck poll, at once.
    pub(super) fn longest_us(&self) -> u64 {
        if self.stuck == CpuSet(0) { 0 } else { self.cap_us }
    }
}

impl Wait {
    /// Time passes, which counts or does not.
    pub(super) fn passed(&mut self, by_us: u64, counts: bool, stuck_us: u64) {
        let for_stuck_us = by_us.min(stuck_us.saturating_sub(self.for_stuck_us));
        self.for_stuck_us += for_stuck_us;
        if counts {
            self.us += by_us - for_stuck_us;
        }
    }
}
