// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scenarios. Each has a file; [`crate::catalog`] names them and their faults.

mod button;
mod cpu_offline;
mod deferred_storm;
mod edu_msi;
pub(crate) mod entry_state;
mod hot_remove;
mod hpet;
mod idle_wake;
mod lost_external;
pub(crate) mod module_unload;
mod pmu;
mod probe_coalesce;
mod quiet;
mod removals;
mod rings;
mod self_nmi_in_handler;
pub(crate) mod sequences;
mod shared_source;
mod sleepers;
mod stop_and_claim;
pub(crate) mod storm;
mod stuck_sender;
mod true_unknown;
mod unknown;
mod watchdog_card;

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use latchwork::{CpuStats, Recovery, UnknownPolicy};

use crate::catalog::{Boot, COMMON_FAULTS, Fault, SCENARIOS, Scenario};
use crate::cmdline::CommandLine;
use crate::console::println;
use crate::cpu::{self, tables};
use crate::nmi::NMI;
use crate::record::{self, Check, Totals};
use crate::waiting::{self, Waiting, awaited};
use crate::{idle, smp, tick};

/// Faults that are not in the catalogue, because they do not turn their scenario red on every
/// machine.
const FAULTS_BY_HAND: &[Fault] = &[Fault {
    name: "no-fix-up",
    summary: "scenario idle-wake, parallel clock: an NMI between STI and HLT does not skip the \
              HLT, and a wake-up is lost",
    min_cpus: 2,
}];

/// A grant that is not raised ends at the second tick at the latest, and a debt of now is paid at
/// the third.
const TICKS_TO_END: u64 = 3;

/// A scenario, as the command line asks for it.
#[derive(Debug)]
pub(crate) struct Run {
    /// CPUs that take part, numbered from 0.
    pub(crate) cpus: usize,
    scenario: &'static Scenario,
    boot: &'static Boot,
    fault: Option<&'static Fault>,
    cmdline: CommandLine,
}

impl Run {
    /// Reads the command line.
    fn new(cmdline: CommandLine, cpus: usize) -> Self {
        let name = cmdline.value("scenario").unwrap_or("shared-source");
        let Some(scenario) = SCENARIOS.iter().find(|scenario| scenario.name == name) else {
            panic!("there is no scenario \"{name}\"");
        };
        let fault = cmdline.value("fault").filter(|name| *name != "none").map(|name| {
            let mut faults = scenario.faults.iter().chain(COMMON_FAULTS).chain(FAULTS_BY_HAND);
            faults
                .find(|fault| fault.name == name)
                .unwrap_or_else(|| panic!("there is no fault \"{name}\" here"))
        });
        let policy = cmdline.value("policy").unwrap_or("report");
        let Some(boot) = scenario.boots.iter().find(|boot| boot.policy == policy) else {
            panic!("scenario \"{name}\" is not booted with policy \"{policy}\"");
        };
        let min_cpus = fault.map_or(1, |fault| fault.min_cpus).max(scenario.min_cpus);
        assert!(cpus >= min_cpus, "this needs {min_cpus} CPUs, there are {cpus}");
        Self { cpus, scenario, boot, fault, cmdline }
    }

    /// Whether to make the fault of this name.
    pub(crate) fn has_fault(&self, name: &str) -> bool {
        self.fault.is_some_and(|fault| fault.name == name)
    }

    /// Whether the first NMI that nothing explains ends the kernel.
    pub(crate) fn panics_on_unknown(&self) -> bool {
        self.boot.policy == "panic"
    }

    /// Whether this boot is meant to end in a stop.
    pub(crate) fn expects_stop(&self) -> bool {
        self.boot.expect_stop
    }

    /// The value of a word of the command line.
    pub(crate) fn option(&self, key: &str) -> Option<&'static str> {
        self.cmdline.value(key)
    }

    /// The number that a word of the command line says.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.cmdline.number(key)
    }

    /// How the library pays polls that it owes, as the command line says.
    pub(crate) fn recovery(&self) -> Recovery {
        match self.option("recovery") {
            None | Some("poll") => Recovery::Poll,
            Some("probe") => Recovery::ProbeNmi,
            Some(other) => panic!("recovery= must be poll or probe, not {other}"),
        }
    }

    /// How often the scenario repeats its main part: `least`, unless the command line asks for
    /// more.
    pub(crate) fn cycles(&self, least: u64) -> u64 {
        self.cmdline.number("cycles").unwrap_or(least).max(least)
    }

    /// The library's statistics, summed over all CPUs.
    pub(crate) fn stats(&self) -> CpuStats {
        stats(self.cpus)
    }

    /// Prints the totals; `lost` is what was sent less what was claimed.
    pub(crate) fn totals(&self, lost: u64) {
        record::totals(&totals(&self.stats(), lost));
    }

    /// Lets every CPU take what is still on its way to it, leave its NMI, and settle edges that it
    /// deferred, so that statistics are complete. Gives up on an edge that no CPU settles within a
    /// second.
    pub(crate) fn settle(&self) {
        const LIMIT_MS: u64 = 1_000;
        for _ in 0..2 {
            smp::on_all_cpus(&|_| crate::apic::flush_pending());
        }
        let edges = awaited!("deferred edges to be settled");
        idle::until_or_ms(edges, || unsettled(&self.stats()) == 0, LIMIT_MS);
    }

    /// Lets every CPU tick until its grants have ended and owed polls are paid. Threads of CPU 0,
    /// while no NMI comes.
    pub(crate) fn let_grants_end(&self) {
        smp::on_all_cpus(&|_| tick::sleep_for(TICKS_TO_END));
    }

    /// The same on one CPU, whose tick pays for all.
    pub(crate) fn let_grants_end_on(&self, cpu: usize) {
        smp::on_all_cpus(&|this| {
            if this == cpu {
                tick::sleep_for(TICKS_TO_END);
            }
        });
    }
}

/// The library's statistics, summed over CPUs 0 to `cpus - 1`. Any context.
fn stats(cpus: usize) -> CpuStats {
    let mut sum = CpuStats::default();
    for stats in (0..cpus).filter_map(|cpu| NMI.cpu_stats(cpu)) {
        sum.edges += stats.edges;
        sum.claimed += stats.claimed;
        sum.absorbed += stats.absorbed;
        sum.deferred += stats.deferred;
        sum.unknown += stats.unknown;
        sum.requests += stats.requests;
        sum.nested += stats.nested;
        sum.offline += stats.offline;
        sum.requests_dropped += stats.requests_dropped;
    }
    sum
}

/// Deferred edges, which are not settled yet.
const fn unsettled(stats: &CpuStats) -> usize {
    stats.edges.saturating_sub(stats.claimed + stats.absorbed + stats.unknown)
}

/// The totals record.
const fn totals(stats: &CpuStats, lost: u64) -> Totals {
    let CpuStats { edges, claimed, absorbed, unknown, .. } = *stats;
    Totals {
        nmis: edges as u64,
        claimed: claimed as u64,
        absorbed: absorbed as u64,
        unknown: unknown as u64,
        lost,
    }
}

/// Prints a check's verdict.
pub(crate) fn check(name: &str, held: bool, expected: fmt::Arguments<'_>, saw: fmt::Arguments<'_>) {
    record::check(&Check { name, held, expected, saw });
}

/// Every request that was sent has been taken, and there were some.
fn check_requests_taken(sent: u64, stats: &CpuStats) {
    check(
        "requests-taken",
        stats.requests as u64 == sent && sent != 0,
        format_args!("{sent} requests taken, as many as were sent"),
        format_args!("{}", stats.requests),
    );
}

/// Every edge was explained, and there were some.
fn check_nothing_unknown(stats: &CpuStats) {
    check(
        "nothing-unknown",
        stats.unknown == 0 && unsettled(stats) == 0 && stats.edges != 0,
        format_args!("0 unknown, 0 deferred and not settled"),
        format_args!(
            "{} unknown, {} not settled of {} edges",
            stats.unknown,
            unsettled(stats),
            stats.edges
        ),
    );
}

/// Prints a progress record now and then: about twenty in all.
#[derive(Debug)]
pub(crate) struct Progress {
    of: u64,
    step: u64,
}

impl Progress {
    /// Announces how much there is to do.
    pub(crate) fn new(of: u64) -> Self {
        record::progress(0, of);
        Self { of, step: (of / 20).max(1) }
    }

    /// Says how much is done.
    pub(crate) fn at(&self, done: u64) {
        if done % self.step == 0 {
            record::progress(done, self.of);
        }
    }
}

/// A counter on a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Tally(AtomicU64);

impl Tally {
    /// Zero.
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds. Any context; Release, so that code that reads the sum sees what came before.
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Release);
    }

    /// The sum so far.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Runs what the command line asks for. Boot CPU, once.
pub(crate) fn run(cmdline: CommandLine, cpus: usize) {
    let run = Run::new(cmdline, cpus);
    println!("scenario {}: {}", run.scenario.name, run.scenario.summary);
    if let Some(fault) = run.fault {
        println!("fault {}: {}", fault.name, fault.summary);
    }
    if run.panics_on_unknown() && !run.has_fault("no-panic") {
        NMI.set_unknown_policy(UnknownPolicy::Panic);
    }
    NMI.set_recovery(run.recovery());
    make_common_fault(&run);
    match run.scenario.name {
        "shared-source" => shared_source::run(&run),
        "hot-remove" => hot_remove::run(&run),
        "self-nmi-in-handler" => self_nmi_in_handler::run(&run),
        "unknown" => unknown::run(&run),
        "entry-state" => entry_state::run(&run),
        "idle-wake" => idle_wake::run(&run),
        "hpet" => hpet::run(&run),
        "button" => button::run(&run),
        "watchdog-card" => watchdog_card::run(&run),
        "edu-msi" => edu_msi::run(&run),
        "module-unload" => module_unload::run(&run),
        "cpu-offline" => cpu_offline::run(&run),
        "stuck-sender" => stuck_sender::run(&run),
        "stop-and-claim" => stop_and_claim::run(&run),
        "probe-coalesce" => probe_coalesce::run(&run),
        "true-unknown-during-probes" => true_unknown::run(&run),
        "deferred-storm" => deferred_storm::run(&run),
        "lost-external" => lost_external::run(&run),
        "sequences" => sequences::run(&run),
        other => panic!("scenario \"{other}\" is in the catalogue and not in the kernel"),
    }
}

/// The faults that end the boot out of order.
fn make_common_fault(run: &Run) {
    if run.has_fault("hang") {
        println!("hanging");
        let _waiting = Waiting::begin(awaited!("what never comes, as fault hang asks"));
        cpu::park();
    }
    if run.has_fault("standstill") {
        println!("standing still");
        const SHORT_MS: u64 = 2_000;
        waiting::set_limit_ms(SHORT_MS);
        idle::until_or_ms(
            awaited!("what never comes, as fault standstill asks"),
            || false,
            2 * SHORT_MS,
        );
    }
    if run.has_fault("panic") {
        panic!("asked to panic");
    }
    if run.has_fault("triple-fault") {
        println!("triple-faulting");
        // SAFETY: a reset is what was asked for.
        unsafe { tables::load_empty_idt() };
        // SAFETY: with no gate behind it, the trap ends in a reset.
        unsafe { core::arch::asm!("ud2", options(noreturn)) };
    }
}
