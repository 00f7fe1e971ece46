// SPDX-License-Identifier: MIT OR Apache-2.0
//! The findings of all CPUs' turns, and their checks.

use core::sync::atomic::{AtomicU64, Ordering};

use super::periods::Account;
use super::turn::{CLAIMS, MAX_LOOKS, SHOTS};
use crate::cpu::MAX_CPUS;
use crate::hpet::MachineHpet;
use crate::scenario::{Run, Tally, check};
use crate::time;

/// The findings of all CPUs' turns.
#[derive(Debug)]
pub(super) struct Findings {
    /// Claims counted in the turn of each CPU; those that the library counted on that CPU
    /// meanwhile; those of the periodic timer.
    pub(super) counted: [Tally; MAX_CPUS],
    pub(super) claimed: [Tally; MAX_CPUS],
    pub(super) periodic: [Tally; MAX_CPUS],
    /// Claims during all turns, wherever they were made.
    pub(super) claimed_in_turns: Tally,
    /// Periods that passed on the main counter meanwhile.
    pub(super) periods: Tally,
    first: Tally,
    echoes: Tally,
    repeated: Tally,
    merged_by_timer: Tally,
    merged_by_cpu: Tally,
    may_ring_again: Tally,
    /// Maxima. Written by the CPU whose turn it is.
    latest_ticks: AtomicU64,
    pub(super) looks: AtomicU64,
    pub(super) shots_exact: Tally,
    pub(super) shots_early: Tally,
    pub(super) shots_set_again: Tally,
}

impl Findings {
    /// Nothing yet.
    pub(super) const fn new() -> Self {
        Self {
            counted: [const { Tally::new() }; MAX_CPUS],
            claimed: [const { Tally::new() }; MAX_CPUS],
            periodic: [const { Tally::new() }; MAX_CPUS],
            claimed_in_turns: Tally::new(),
            periods: Tally::new(),
            first: Tally::new(),
            echoes: Tally::new(),
            repeated: Tally::new(),
            merged_by_timer: Tally::new(),
            merged_by_cpu: Tally::new(),
            may_ring_again: Tally::new(),
            latest_ticks: AtomicU64::new(0),
            looks: AtomicU64::new(0),
            shots_exact: Tally::new(),
            shots_early: Tally::new(),
            shots_set_again: Tally::new(),
        }
    }

    /// Adds what one run of the periodic timer showed.
    pub(super) fn add(&self, account: &Account) {
        self.first.add(account.first);
        self.echoes.add(account.echoes);
        self.may_ring_again.add(account.may_ring_again);
        self.merged_by_timer.add(account.merged_by_timer);
        self.merged_by_cpu.add(account.merged_by_cpu);
        self.repeated.add(account.repeated);
        self.latest_ticks.fetch_max(account.latest_ticks, Ordering::Relaxed);
    }

    /// Checks all that was found in a run that is over, and prints the totals.
    pub(super) fn check(&self, run: &Run, hpet: &MachineHpet) {
        let fewest = self.periodic.iter().take(run.cpus).map(Tally::get).min().unwrap_or(0);
        check(
            "claims-on-each-cpu",
            fewest >= CLAIMS,
            format_args!(
                "{CLAIMS} claims of the periodic timer or more on each of {} CPUs",
                run.cpus
            ),
            format_args!("{fewest} on the CPU with the fewest"),
        );

        let sum = |tallies: &[Tally]| tallies.iter().map(Tally::get).sum::<u64>();
        let agree = self.counted.iter().zip(&self.claimed).take(run.cpus);
        let agree =
            agree.filter(|(counted, claimed)| counted.get() != 0 && counted.get() == claimed.get());
        let agree = agree.count();
        let (counted, claimed) = (sum(&self.counted), sum(&self.claimed));
        let in_all = self.claimed_in_turns.get();
        check(
            "claims-are-where-the-line-goes",
            agree == run.cpus && counted == in_all,
            format_args!("on each of {} CPUs as many claims as were counted in its turn", run.cpus),
            format_args!(
                "so on {agree}; {counted} counted, {claimed} on the CPU whose turn it was, \
                 {in_all} in all"
            ),
        );
        self.check_periods(hpet);
        let looks = self.looks.load(Ordering::Relaxed);
        check(
            "a-status-rings-at-once",
            looks <= MAX_LOOKS,
            format_args!("the status seen set {MAX_LOOKS} times in a row at most, before its NMI"),
            format_args!("{looks}"),
        );
        let shots = SHOTS * run.cpus as u64;
        let (exact, early) = (self.shots_exact.get(), self.shots_early.get());
        check(
            "one-shots-ring-once",
            exact == shots && early == 0,
            format_args!("exactly one NMI for each of {shots} one-shots, none before its time"),
            format_args!(
                "so for {exact}, {early} early, {} set again as they were set too late",
                self.shots_set_again.get()
            ),
        );
        let stats = run.stats();
        let may_ring_again = self.may_ring_again.get();
        check(
            "nothing-unknown",
            stats.unknown as u64 <= may_ring_again
                && stats.claimed + stats.unknown == stats.edges
                && stats.edges != 0,
            format_args!(
                "0 absorbed or deferred, 0 unknown but where the timer had fired again before it \
                 was acknowledged: {may_ring_again}"
            ),
            format_args!(
                "{} absorbed, {} deferred, {} unknown of {} edges",
                stats.absorbed, stats.deferred, stats.unknown, stats.edges
            ),
        );
        run.totals(in_all.saturating_sub(counted));
    }

    fn check_periods(&self, hpet: &MachineHpet) {
        let by_instructions = time::is_instruction_clock();
        let [first, echoes, repeated, by_timer, by_cpu, periods] = [
            &self.first,
            &self.echoes,
            &self.repeated,
            &self.merged_by_timer,
            &self.merged_by_cpu,
            &self.periods,
        ]
        .map(Tally::get);
        let merged = by_timer + by_cpu;
        let latest_ticks = self.latest_ticks.load(Ordering::Relaxed);
        let latest_ns = latest_ticks * u64::from(hpet.capabilities().period_fs()) / 1_000_000;
        let as_clocked = if by_instructions { merged == 0 } else { echoes == 0 };
        check(
            "claims-match-periods",
            as_clocked && repeated == 0 && first + merged == periods && first != 0,
            format_args!(
                "one claim a period of the main counter{}",
                if by_instructions {
                    ", but for second firings"
                } else {
                    ", or one for several where timer or CPU was late"
                }
            ),
            format_args!(
                "{first} claims in {periods} periods, {echoes} more of second firings, {repeated} \
                 repeated; merged since the timer \
                 was late {by_timer}, since the CPU was {by_cpu}; {latest_ns} ns late at most"
            ),
        );
    }
}
