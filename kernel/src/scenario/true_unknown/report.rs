// SPDX-License-Identifier: MIT OR Apache-2.0
//! The results, and the scenario's checks.

use core::sync::atomic::{AtomicU64, Ordering};

use latchwork::{CpuStats, Limits, Recovery};

use super::{ROUNDS, unseen_limit_ms};
use crate::nmi::{NMI, reports};
use crate::scenario::{Run, Tally, check, pmu, unsettled};
use crate::time;

/// When an NMI comes that nothing explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// When every grant has ended.
    Alone,
    /// Right after a grant was made.
    Granted,
    /// Some time after.
    Later,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Alone, Self::Granted, Self::Later];
}

/// The ticks after which a grant has ended that is older than [`Limits::late_us`]. A probe is a
/// claim, so the tick that sends it lets grants last until the next one. Where CPUs run in
/// parallel, the host decides when ticks come, and a grant ends after [`Limits::cap_us`] at the
/// latest.
const TICKS_TO_END: u64 = 2;
const TICKS_TO_END_WITH_PROBES: u64 = 3;

/// The results of the rounds of one kind, on all CPUs.
struct Came {
    rounds: Tally,
    unknown: Tally,
    absorbed: Tally,
    /// Rounds in which not just one NMI was one or the other.
    strange: Tally,
}

impl Came {
    const fn new() -> Self {
        Self {
            rounds: Tally::new(),
            unknown: Tally::new(),
            absorbed: Tally::new(),
            strange: Tally::new(),
        }
    }
}

/// All that was seen.
pub(super) struct Seen {
    /// NMIs sent that nothing explains.
    pub(super) sent: Tally,
    by_kind: [Came; 3],
    /// The age of the oldest grant that absorbed one of the last kind.
    oldest_ticks: AtomicU64,
    surfaced: Tally,
    /// NMIs that the library absorbed until it reported one that repeated.
    absorbed_unseen: Tally,
    longest_unseen_ticks: AtomicU64,
}

pub(super) static SAW: Seen = Seen {
    sent: Tally::new(),
    by_kind: [const { Came::new() }; 3],
    oldest_ticks: AtomicU64::new(0),
    surfaced: Tally::new(),
    absorbed_unseen: Tally::new(),
    longest_unseen_ticks: AtomicU64::new(0),
};

impl Seen {
    /// Notes the result of one round, in which an NMI came when the youngest grant had that age.
    pub(super) fn note(&self, kind: Kind, before: &CpuStats, after: &CpuStats, age_ticks: u64) {
        let came = &self.by_kind[kind as usize];
        let unknown = after.unknown - before.unknown;
        let absorbed = after.absorbed - before.absorbed;
        came.rounds.add(1);
        came.unknown.add(unknown as u64);
        came.absorbed.add(absorbed as u64);
        came.strange.add(u64::from(unknown + absorbed != 1));
        if kind == Kind::Later && absorbed != 0 {
            self.oldest_ticks.fetch_max(age_ticks, Ordering::Relaxed);
        }
    }

    /// Notes whether the library reported an NMI that repeated, and after how long.
    pub(super) fn note_repeating(&self, surfaced: bool, absorbed: u64, unseen_ticks: u64) {
        self.surfaced.add(u64::from(surfaced));
        self.absorbed_unseen.add(absorbed);
        self.longest_unseen_ticks.fetch_max(unseen_ticks, Ordering::Relaxed);
    }
}

fn in_us(ticks: &AtomicU64) -> u64 {
    ticks.load(Ordering::Relaxed) * 1_000 / time::ticks_per_ms()
}

pub(super) fn report(run: &Run) {
    check_repeating(run);
    let rounds = ROUNDS * run.cpus as u64;
    check_kind(Kind::Alone, "what-comes-alone-is-unknown", "unknown", rounds, |came| {
        came.unknown.get() == rounds
    });
    check_kind(Kind::Granted, "what-comes-after-a-grant-is-absorbed", "absorbed", rounds, |came| {
        came.absorbed.get() == rounds
    });
    check_kind(Kind::Later, "what-comes-later-is-either", "either", rounds, |came| {
        came.unknown.get() != 0
    });
    check_oldest(run);
    check_reported(run);
    check_load(run);
    run.totals(0);
}

fn check_repeating(run: &Run) {
    let (surfaced, longest_us) = (SAW.surfaced.get(), in_us(&SAW.longest_unseen_ticks));
    let limit_ms = unseen_limit_ms();
    check(
        "what-repeats-surfaces",
        surfaced == run.cpus as u64
            && SAW.absorbed_unseen.get() >= surfaced
            && longest_us <= limit_ms * 1_000,
        format_args!(
            "on each of {} CPUs within {limit_ms} ms, though some were absorbed",
            run.cpus
        ),
        format_args!(
            "on {surfaced}, after {longest_us} us at most; {} were absorbed",
            SAW.absorbed_unseen.get()
        ),
    );
}

fn check_kind(
    kind: Kind,
    name: &str,
    expected: &str,
    rounds: u64,
    is_as_expected: impl FnOnce(&Came) -> bool,
) {
    let came = &SAW.by_kind[kind as usize];
    check(
        name,
        came.rounds.get() == rounds && came.strange.get() == 0 && is_as_expected(came),
        format_args!("one NMI in each of {rounds} rounds, {expected}"),
        format_args!(
            "{} unknown, {} absorbed; {} rounds with more or less than one",
            came.unknown.get(),
            came.absorbed.get(),
            came.strange.get()
        ),
    );
}

fn check_oldest(run: &Run) {
    let limits = Limits::HYPERVISOR;
    let by_probes = run.recovery() == Recovery::ProbeNmi;
    let ticks = if by_probes { TICKS_TO_END_WITH_PROBES } else { TICKS_TO_END };
    let limit_us = if time::is_instruction_clock() {
        u64::from(limits.late_us) + ticks * u64::from(limits.tick_period_us)
    } else {
        u64::from(limits.late_us + limits.cap_us)
    };
    let oldest_us = in_us(&SAW.oldest_ticks);
    let absorbed = SAW.by_kind[Kind::Later as usize].absorbed.get();
    check(
        "no-grant-outlives-its-time",
        oldest_us <= limit_us && absorbed != 0,
        format_args!("some absorbed later by grants, {limit_us} us old at most"),
        format_args!("{absorbed}, by grants that were {oldest_us} us old at most"),
    );
}

/// Checks that the library reported each unknown one, or counted it in the next report as held
/// back.
fn check_reported(run: &Run) {
    let stats = run.stats();
    let tallies = || (0..run.cpus).map(reports::tally);
    let reported: usize = tallies().map(|tally| tally.reports.load(Ordering::Acquire)).sum();
    let held_back: usize = tallies().map(|tally| tally.suppressed.load(Ordering::Relaxed)).sum();
    let sent = SAW.sent.get();
    let accounted = (stats.unknown + stats.absorbed) as u64;
    check(
        "each-is-reported-or-counted-as-absorbed",
        accounted == sent
            && reported + held_back == stats.unknown
            && unsettled(&stats) == 0
            && sent != 0,
        format_args!(
            "{sent} sent, each unknown or absorbed; each unknown one in a report or held back"
        ),
        format_args!(
            "{} unknown, {} absorbed, {} not settled; {reported} reports, {held_back} held back",
            stats.unknown,
            stats.absorbed,
            unsettled(&stats)
        ),
    );
}

fn check_load(run: &Run) {
    let (overflows, claims) = pmu::totals();
    let recovery = NMI.recovery_stats();
    let by_probes = run.recovery() == Recovery::ProbeNmi;
    check(
        "claims-and-polls-go-on",
        overflows == claims
            && claims != 0
            && recovery.paid_by_tick as u64 >= ROUNDS
            && (recovery.probes != 0) == by_probes,
        format_args!(
            "{overflows} overflows of the counters claimed; {ROUNDS} or more polls paid by ticks, \
             {} probes",
            if by_probes { "by" } else { "without" }
        ),
        format_args!("{claims}; {}, {} probes", recovery.paid_by_tick, recovery.probes),
    );
}
