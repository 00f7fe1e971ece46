// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scenario's checks.

use latchwork::Recovery;

use super::{ROUNDS_DONE, items};
use crate::nmi::NMI;
use crate::scenario::{Run, check, check_nothing_unknown, pmu};

/// How many of each kind the scenario must have seen, for each round.
const QUEUED_A_ROUND: u64 = 10;

pub(super) fn report(run: &Run, rounds: u64, all_ran: bool) {
    let (queued, runs) = (items::sum(|it| &it.queued), items::sum(|it| &it.runs));
    let (differ, unused) = items::miscounted_and_unused(run.cpus);
    check(
        "each-runs-once-for-each-time-it-was-queued",
        all_ran
            && queued == runs
            && differ == 0
            && unused == 0
            && queued >= QUEUED_A_ROUND * rounds,
        format_args!(
            "{queued} runs, {} or more, as many of each item as it was queued, and none left",
            QUEUED_A_ROUND * rounds
        ),
        format_args!(
            "{runs}; {differ} items differ, {unused} were never queued, {}",
            if all_ran { "none is left" } else { "some are left" }
        ),
    );
    let overlaps = items::sum(|it| &it.overlaps);
    let failed = items::sum(|it| &it.failed);
    check(
        "never-on-two-cpus-at-once",
        overlaps == 0 && failed == 0 && runs != 0,
        format_args!(
            "no run beside another of the same item, and nothing refused but for CPUs that are \
             offline"
        ),
        format_args!("{overlaps}; {failed} refused"),
    );
    let merged = items::sum(|it| &it.merged);
    let in_run = items::sum(|it| &it.queued_in_run);
    check(
        "queued-while-lists-drain",
        merged != 0 && in_run != 0,
        format_args!("some items were queued already, and some queued while they ran"),
        format_args!("{merged} and {in_run}"),
    );
    let without_tick = items::sum(|it| &it.runs_without_tick);
    check(
        "lazy-items-run-where-ticks-are-stopped",
        without_tick >= rounds,
        format_args!("{rounds} or more runs of lazy items on CPUs whose tick is stopped"),
        format_args!("{without_tick}"),
    );
    let (elsewhere, refused) = (items::sum(|it| &it.runs_elsewhere), items::sum(|it| &it.refused));
    check(
        "others-run-what-offline-cpus-left",
        ROUNDS_DONE.get() == rounds && elsewhere >= rounds / 2 && refused != 0,
        format_args!(
            "a CPU offline in {rounds} rounds; {} or more items run by others, some refused",
            rounds / 2
        ),
        format_args!("in {}; {elsewhere} run by others, {refused} refused", ROUNDS_DONE.get()),
    );
    let recovery = NMI.recovery_stats();
    let by_probes = run.recovery() == Recovery::ProbeNmi;
    check(
        "polls-are-paid-meanwhile",
        recovery.paid_by_tick != 0 && (recovery.probes != 0) == by_probes,
        format_args!(
            "some polls that are owed are paid by ticks, {} probes",
            if by_probes { "by" } else { "without" }
        ),
        format_args!("{}, {} probes", recovery.paid_by_tick, recovery.probes),
    );
    let (overflows, claims) = pmu::totals();
    check(
        "every-overflow-claimed-once",
        overflows == claims && overflows != 0,
        format_args!("{overflows} overflows of the counters claimed, and some were"),
        format_args!("{claims}"),
    );
    check_nothing_unknown(&run.stats());
    run.totals(queued.saturating_sub(runs));
}
