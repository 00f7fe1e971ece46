// SPDX-License-Identifier: MIT OR Apache-2.0
//! NMIs that nothing explains, amid claims, grants and probes.
//!
//! Every CPU has bursts of overflows ([`super::pmu`]), so polls are owed and ticks pay them, by
//! probes or without. An overflow and a request that one edge takes leave a grant. The CPU then
//! sends itself an NMI past the library:
//!
//! - *alone*: when every grant has ended. It must be unknown;
//! - *granted*: right after a claim has made a grant. The library absorbs it: it may be the ring
//!   that was granted, and no software can tell the two apart;
//! - *later*: some time after. It may be either; but if the library absorbs it, the grant must not
//!   be older than the limit.
//!
//! Before that, one NMI repeats, each time right after a grant. The library absorbs it again and
//! again, and must report it all the same, as unknown or as absorbed.

mod report;

use core::sync::atomic::{AtomicBool, Ordering};

use latchwork::{CpuStats, Limits, Request};

use self::report::{Kind, SAW};
use super::{Progress, Run, pmu, quiet, unknown};
use crate::nmi::{self, NMI, reports};
use crate::waiting::awaited;
use crate::{apic, cpu, idle, patience, smp, tick, time};

/// Rounds of each kind, on each CPU.
const ROUNDS: u64 = 8;

/// Overflows of a burst before each NMI that nothing explains.
const BURST: u64 = 16;

/// After this many ticks, every grant has ended, and the CPU has paid its polls.
const ALONE_TICKS: u64 = 3;

/// In rounds of the last kind, the NMI comes after up to so long: long enough for several ticks,
/// which a loaded host delays.
const LATER_US: u64 = 64_000;
const LATER_INSTRUCTION_US: u64 = 4_000;

/// How long an NMI may repeat without a report: the library tolerates that for 10 milliseconds; it
/// repeats with each tick, and a tick prints the report. Where CPUs run in parallel, the host
/// decides when ticks come.
const UNSEEN_MS: u64 = 2_000;
const UNSEEN_INSTRUCTION_MS: u64 = 20;

/// How long an edge may take to be settled.
const SETTLE_LIMIT_MS: u64 = 1_000;

/// How long an NMI to oneself may take.
const RING_TURNS: u32 = 1_000_000;

/// CPUs send themselves a request in their next NMI of a burst. Only one thread at a time has such
/// a burst on each CPU.
static ASKS: [AtomicBool; cpu::MAX_CPUS] = [const { AtomicBool::new(false) }; cpu::MAX_CPUS];

/// Called inside an NMI of a burst of CPU `cpu`, which is this one; the next overflow is latched.
fn ask_inside(cpu: usize) {
    if ASKS.get(cpu).is_some_and(|asks| asks.swap(false, Ordering::Relaxed)) {
        // One that was refused makes no grant, and the scenario misses that.
        let _ = NMI.send(cpu, Request::Call);
    }
}

/// Makes one edge of this CPU take an overflow and a request, so that the library grants one more.
fn make_grant(cpu: usize) {
    ASKS[cpu].store(true, Ordering::Relaxed);
    pmu::burst(cpu, 2);
}

fn own_stats(cpu: usize) -> CpuStats {
    NMI.cpu_stats(cpu).unwrap_or_default()
}

const fn unsettled(stats: &CpuStats) -> usize {
    stats.edges - stats.claimed - stats.absorbed - stats.unknown
}

/// One CPU's part.
struct Subject<'a> {
    run: &'a Run,
    cpu: usize,
}

impl Subject<'_> {
    /// Sends an NMI past the library, which comes at once.
    fn ring(&self) {
        if self.run.has_fault("no-unknown") {
            return;
        }
        let before = own_stats(self.cpu).edges;
        if let Err(error) = apic::send_nmi(self.cpu) {
            panic!("CPU {} could not ring itself: {error}", self.cpu);
        }
        let is_taken = || own_stats(self.cpu).edges != before;
        patience::spin_until(awaited!("its own NMI"), is_taken, RING_TURNS);
        SAW.sent.add(1);
    }

    fn round(&self, kind: Kind, number: u64) {
        pmu::burst(self.cpu, BURST);
        if kind == Kind::Alone {
            tick::sleep_for(ALONE_TICKS);
        }
        let before = own_stats(self.cpu);
        let enabled = cpu::interrupts_off();
        let granted_at_ticks = time::now_ticks();
        if kind != Kind::Alone {
            make_grant(self.cpu);
        }
        if kind == Kind::Later {
            cpu::interrupts_restore(enabled);
            time::delay_us(number * latest_us() / ROUNDS);
            cpu::interrupts_off();
        }
        let age_ticks = time::now_ticks().saturating_sub(granted_at_ticks);
        self.ring();
        cpu::interrupts_restore(enabled);
        let is_settled = || unsettled(&own_stats(self.cpu)) == 0;
        idle::until_or_ms(awaited!("its edge to be settled"), is_settled, SETTLE_LIMIT_MS);
        SAW.note(kind, &before, &own_stats(self.cpu), age_ticks);
    }

    /// Sends an NMI that nothing explains with each tick, until the library has reported it.
    fn repeat(&self) {
        let reports = || {
            let tally = reports::tally(self.cpu);
            let absorbed = tally.absorbed_reports.load(Ordering::Acquire);
            tally.reports.load(Ordering::Acquire) + absorbed
        };
        let before = reports();
        let absorbed_before = own_stats(self.cpu).absorbed;
        let start_ticks = time::now_ticks();
        let unseen_ticks = || time::now_ticks().saturating_sub(start_ticks);
        let limit_ticks = unseen_limit_ms() * time::ticks_per_ms();
        let mut repeats = 0;
        let has_surfaced = |repeats: u64| repeats > 1 && reports() != before;
        while !has_surfaced(repeats) && unseen_ticks() <= limit_ticks {
            let enabled = cpu::interrupts_off();
            make_grant(self.cpu);
            if repeats == 0 || !self.run.has_fault("once") {
                self.ring();
                repeats += 1;
            }
            cpu::interrupts_restore(enabled);
            tick::sleep_for(1);
        }
        let absorbed = own_stats(self.cpu).absorbed - absorbed_before;
        SAW.note_repeating(has_surfaced(repeats), absorbed as u64, unseen_ticks());
    }

    /// Sends one that comes alone, and whose report counts all that the library held back before.
    fn ring_last(&self) {
        unknown::wait_until_reported();
        self.ring();
        unknown::wait_until_reported();
    }
}

fn latest_us() -> u64 {
    if time::is_instruction_clock() { LATER_INSTRUCTION_US } else { LATER_US }
}

/// How long an NMI may repeat without a report.
fn unseen_limit_ms() -> u64 {
    if time::is_instruction_clock() { UNSEEN_INSTRUCTION_MS } else { UNSEEN_MS }
}

pub(super) fn run(run: &Run) {
    if run.has_fault("long-grants") {
        nmi::set_limits(Limits { late_us: Limits::HYPERVISOR.cap_us, ..Limits::HYPERVISOR });
    }
    let hidden = unknown::hide_all_if(run.has_fault("hidden-claim"));
    pmu::call_in_bursts(ask_inside);
    let counters = pmu::register();
    let quiet = quiet::register();

    let progress = Progress::new(ROUNDS + 2);
    smp::on_all_cpus(&|cpu| Subject { run, cpu }.repeat());
    progress.at(1);
    for number in 0..ROUNDS {
        smp::on_all_cpus(&|cpu| {
            for kind in Kind::ALL {
                Subject { run, cpu }.round(kind, number);
            }
        });
        progress.at(2 + number);
    }
    smp::on_all_cpus(&|cpu| Subject { run, cpu }.ring_last());
    run.settle();
    progress.at(ROUNDS + 2);

    report::report(run);
    nmi::remove(quiet);
    nmi::remove(counters);
    hidden.into_iter().for_each(nmi::remove);
}
