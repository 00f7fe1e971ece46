// SPDX-License-Identifier: MIT OR Apache-2.0
//! NMIs that nothing explains: the scenario rings past the library, so that no request stands
//! behind them.
//!
//! With the report policy, the library counts each, and reports each exactly once: in a report of
//! its own if it comes alone, or in the next report's count of those that it held back if several
//! come within the reports' interval. If far too many come in a row, the library reports a storm,
//! and later its end. With the panic policy the first one stops the kernel, with a report.
//!
//! A report also has the reading of port 0x61 at the time of the NMI. From one NMI to the next, the
//! scenario changes a bit of the port that does nothing, the speaker's.
//!
//! The scenario first rings all CPUs at once, while one of them asks a slow Platform handler. The
//! others defer their edges, and know only after a later poll, which a tick makes, that they are
//! unknown. Then the scenario rings one CPU at a time.

use core::sync::atomic::{AtomicBool, Ordering};

use latchwork::{
    Claim, Class, CpuStats, Doorbell, EdgeModel, HandlerSpec, Limits, NmiContext, NmiHandler,
    Registration,
};
use x86_64::instructions::port::Port;

use super::{Progress, Run, check};
use crate::cpu::MAX_CPUS;
use crate::nmi::{self, NMI, reports};
use crate::waiting::awaited;
use crate::{apic, idle, image, patience, smp, tick, time};

/// A little more than the time in which the library reports at most one unknown NMI for each CPU.
const REPORT_INTERVAL_MS: u64 = 120;

/// How long a report may take to reach the console: the tick prints it.
const REPORT_LIMIT_MS: u64 = 2_000;

/// How many NMIs come one right after the other: wherever the library's windows begin, one of them
/// has too many.
const BURST: usize = 2 * (Limits::BARE_METAL.unknowns_per_100_ms as usize + 1);

/// How long it may take until the library reports the end of a storm: two windows and a little
/// more.
const STORM_LIMIT_MS: u64 = 1_000;

/// Port 0x61: the speaker's bit, silent while the timer's gate is closed, and the bits that do not
/// change by themselves: this one and those about NMIs.
const PORT_61: u16 = 0x61;
const SPEAKER: u8 = 1 << 1;
const NMI_ENABLES: u8 = 0b0000_1100;
const STEADY: u8 = SPEAKER | NMI_ENABLES | 0b1100_0000;

/// How long the Platform handler waits for another CPU's edge to be deferred.
const DEFERRAL_LIMIT_MS: u64 = 500;

/// How long it may take until a deferred edge is settled.
const SETTLE_LIMIT_MS: u64 = 1_000;

/// Waits until it has seen another CPU defer an edge, and claims nothing.
struct Slow;
static SLOW: Slow = Slow;

// SAFETY: looks at the library's statistics, which is NMI-safe, and waits a bounded time.
unsafe impl NmiHandler for Slow {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        let start_ticks = time::now_ticks();
        let is_over = || {
            time::now_ticks().saturating_sub(start_ticks) > DEFERRAL_LIMIT_MS * time::ticks_per_ms()
        };
        let may_end =
            || !WAITS.load(Ordering::Relaxed) || super::stats(MAX_CPUS).deferred != 0 || is_over();
        patience::spin(awaited!("another CPU to defer an edge"), may_end);
        Claim::None
    }
}

/// Whether the slow handler waits for other CPUs' edges.
static WAITS: AtomicBool = AtomicBool::new(false);

struct HiddenClaim;
static HIDDEN_CLAIM: HiddenClaim = HiddenClaim;

// SAFETY: touches nothing.
unsafe impl NmiHandler for HiddenClaim {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        Claim::Handled
    }
}

pub(super) fn run(run: &Run) {
    let hidden = hide_all_if(run.has_fault("hidden-claim"));
    if run.expects_stop() {
        stop(run);
    } else {
        report(run);
    }
    if let Some(registration) = hidden {
        nmi::remove(registration);
    }
}

/// Registers a handler that claims every NMI that nothing explains, if `hidden`.
pub(super) fn hide_all_if(hidden: bool) -> Option<Registration> {
    hidden.then(|| nmi::register("hidden-claim", Class::Unknown, 1, &HIDDEN_CLAIM))
}

/// Waits until the library has reported all that is unknown by now, and will report the next one at
/// once. Threads whose tick runs.
pub(super) fn wait_until_reported() {
    idle::for_ms(REPORT_INTERVAL_MS);
}

/// Sends one NMI to `target` from `sender`, past the library, and returns once it has been taken.
fn ring_once(run: &Run, sender: usize, target: usize) {
    if run.has_fault("no-nmi") {
        return;
    }
    smp::on_all_cpus(&|cpu| {
        if cpu == sender {
            if let Err(error) = apic::send_nmi(target) {
                panic!("CPU {sender} could not ring CPU {target}: {error}");
            }
        }
    });
    smp::on_all_cpus(&|cpu| {
        if cpu == target {
            apic::flush_pending();
        }
    });
}

/// `target` sends itself a burst of NMIs, past the library.
fn ring_in_a_row(run: &Run, target: usize) {
    if run.has_fault("no-nmi") {
        return;
    }
    smp::on_all_cpus(&|cpu| {
        for _ in (0..BURST).filter(|_| cpu == target) {
            if let Err(error) = apic::send_nmi(cpu) {
                panic!("CPU {cpu} could not ring itself: {error}");
            }
            apic::flush_pending();
        }
    });
}

/// How many reports `cpu` made of the beginning of a storm that nobody claims, and of the end.
fn storms(cpu: usize) -> (usize, usize) {
    let tally = reports::tally(cpu);
    let over = tally.unclaimed_storms_over.load(Ordering::Acquire);
    (tally.unclaimed_storms_begun.load(Ordering::Acquire), over)
}

/// The reports about one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ReportCounts {
    reports: usize,
    held_back: usize,
}

fn report_counts(cpu: usize) -> ReportCounts {
    let tally = reports::tally(cpu);
    let reports = tally.reports.load(Ordering::Acquire);
    ReportCounts { reports, held_back: tally.suppressed.load(Ordering::Relaxed) }
}

/// Turns the speaker's bit on or off, and returns those bits of the port's reading that stay.
fn set_speaker_bit(on: bool) -> u8 {
    let mut port = Port::<u8>::new(PORT_61);
    // SAFETY: reading the port clears nothing.
    let enables = unsafe { port.read() } & NMI_ENABLES;
    // SAFETY: keeps the timer's gate closed, so that the speaker stays silent, and the NMI enables
    // as they are.
    unsafe { port.write(enables | if on { SPEAKER } else { 0 }) };
    // SAFETY: as above.
    unsafe { port.read() & STEADY }
}

/// Sends one NMI that comes alone, and waits for its report. Returns whether there was exactly one,
/// of that CPU and with an instruction pointer in the kernel's text.
fn reported_alone(run: &Run, sender: usize, target: usize) -> bool {
    let before = report_counts(target);
    ring_once(run, sender, target);
    let report = awaited!("a report about CPU {}", target);
    let is_reported = || report_counts(target).reports != before.reports;
    let came = idle::until_or_ms(report, is_reported, REPORT_LIMIT_MS);
    wait_until_reported();
    let tally = reports::tally(target);
    came && report_counts(target).reports == before.reports + 1
        && tally.last_cpu.load(Ordering::Relaxed) == target + 1
        && image::is_text(tally.last_ip.load(Ordering::Relaxed))
}

/// What was sent, and the results for NMIs that came alone.
#[derive(Default)]
struct Sent {
    nmis: usize,
    alone: usize,
    alone_reported: usize,
    /// Reports of those that have the right reading of port 0x61.
    port_61_reported: usize,
    /// Bursts with one report of their beginning, and one of their end.
    storms_reported: usize,
}

impl Sent {
    /// Sends one NMI that comes alone. Returns whether its report came.
    fn alone(&mut self, run: &Run, sender: usize, target: usize) -> bool {
        let speaker = self.alone % 2 == 0 && !run.has_fault("same-port-61");
        let mut reads = set_speaker_bit(speaker);
        if self.alone % 2 == 0 {
            reads |= SPEAKER;
        }
        let reported = reported_alone(run, sender, target);
        let reported_61 =
            reports::tally(target).last_port_61.load(Ordering::Relaxed) as u8 & STEADY;
        self.port_61_reported += usize::from(reported && reported_61 == reads);
        self.nmis += 1;
        self.alone += 1;
        self.alone_reported += usize::from(reported);
        reported
    }

    /// Sends all NMIs of one CPU. Returns whether all reports came that should.
    fn all_to(&mut self, run: &Run, target: usize) -> bool {
        let neighbour = (target + 1) % run.cpus;
        if !(self.alone(run, target, target) && self.alone(run, neighbour, target)) {
            return false;
        }
        ring_in_a_row(run, target);
        self.nmis += BURST;
        wait_until_reported();
        let reported = self.alone(run, target, target);
        let end = awaited!("the end of the storm on CPU {}", target);
        idle::until_or_ms(end, || storms(target).1 != 0, STORM_LIMIT_MS);
        self.storms_reported += usize::from(storms(target) == (1, 1));
        reported
    }
}

/// The results of ringing all CPUs at once.
#[derive(Clone, Copy, Debug)]
struct AtOnce {
    sent: usize,
    stats: CpuStats,
    /// Whether each CPU settled its deferred edges without another NMI.
    settled_in_time: bool,
}

/// Every CPU sends itself an NMI past the library, all at about the same time.
fn ring_all_at_once(run: &Run) -> AtOnce {
    if run.has_fault("no-tick") {
        tick::pass_to_library(false);
    }
    let spec =
        HandlerSpec::new("slow", Class::Platform, Doorbell::Platform(0), EdgeModel::PerCondition);
    let slow = nmi::register_as(&spec, &SLOW);
    run.let_grants_end();
    WAITS.store(run.cpus > 1, Ordering::Relaxed);
    let sent = if run.has_fault("no-nmi") { 0 } else { run.cpus };
    smp::on_all_cpus(&|cpu| {
        if sent != 0 {
            if let Err(error) = apic::send_nmi(cpu) {
                panic!("CPU {cpu} could not ring itself: {error}");
            }
            apic::flush_pending();
        }
    });
    WAITS.store(false, Ordering::Relaxed);
    let are_settled = || super::unsettled(&run.stats()) == 0;
    let settled_in_time =
        idle::until_or_ms(awaited!("deferred edges to be settled"), are_settled, SETTLE_LIMIT_MS);
    nmi::remove(slow);
    tick::pass_to_library(true);
    run.settle();
    wait_until_reported();
    AtOnce { sent, stats: run.stats(), settled_in_time }
}

fn check_at_once(run: &Run, at_once: &AtOnce) {
    let AtOnce { sent, stats, settled_in_time } = at_once;
    let fewest_deferred = usize::from(run.cpus > 1);
    check(
        "deferred-ones-are-settled",
        *settled_in_time
            && stats.edges == *sent
            && stats.unknown == *sent
            && stats.deferred >= fewest_deferred
            && *sent != 0,
        format_args!(
            "{sent} NMIs at once, {fewest_deferred} or more of them deferred, all unknown in the \
             end, without another NMI"
        ),
        format_args!(
            "{} NMIs, {} deferred, {} unknown, {}",
            stats.edges,
            stats.deferred,
            stats.unknown,
            if *settled_in_time { "all settled in time" } else { "some not settled in time" }
        ),
    );
}

fn report(run: &Run) {
    let progress = Progress::new(run.cpus as u64);
    let at_once = ring_all_at_once(run);
    check_at_once(run, &at_once);
    let mut sent = Sent { nmis: at_once.sent, ..Sent::default() };
    for target in 0..run.cpus {
        // After one report that does not come, the scenario would wait for the others in vain.
        if !sent.all_to(run, target) {
            break;
        }
        progress.at(target as u64 + 1);
    }
    set_speaker_bit(false);
    let Sent { nmis: sent, alone, alone_reported, port_61_reported, storms_reported } = sent;
    run.settle();

    let stats = run.stats();
    check(
        "counted",
        stats.unknown == sent && stats.edges == sent,
        format_args!("{sent} NMIs, all unknown"),
        format_args!(
            "{} NMIs, {} unknown, {} deferred, {} claimed",
            stats.edges, stats.unknown, stats.deferred, stats.claimed
        ),
    );
    check(
        "each-alone-is-reported-once",
        alone_reported == alone,
        format_args!(
            "one report of each of {alone} NMIs that came alone, with its CPU and an IP in the \
             kernel"
        ),
        format_args!("{alone_reported} reported so"),
    );
    check(
        "each-tells-what-port-61-read",
        port_61_reported == alone && alone != 0,
        format_args!("{alone} reports with the reading of port 0x61 at the NMI"),
        format_args!("{port_61_reported}"),
    );
    let all = (0..run.cpus).map(report_counts).fold(
        ReportCounts { reports: 0, held_back: 0 },
        |sum, counts| ReportCounts {
            reports: sum.reports + counts.reports,
            held_back: sum.held_back + counts.held_back,
        },
    );
    check(
        "each-is-reported-once",
        all.reports + all.held_back == sent && sent != 0,
        format_args!("{sent} NMIs reported, in reports of their own or as held back"),
        format_args!("{} reports, {} held back", all.reports, all.held_back),
    );
    check(
        "bursts-are-limited",
        all.held_back != 0,
        format_args!("some of {BURST} NMIs in a row held back"),
        format_args!("{}", all.held_back),
    );
    check(
        "storms-are-reported",
        storms_reported == run.cpus,
        format_args!(
            "on {} CPUs, once that {BURST} NMIs in a row began and once that they were over",
            run.cpus
        ),
        format_args!("on {storms_reported} of {} CPUs", run.cpus),
    );
    let on_each = (0..run.cpus)
        .filter_map(|cpu| NMI.cpu_stats(cpu))
        .filter(|stats| stats.unknown != 0)
        .count();
    check(
        "on-every-cpu",
        on_each == run.cpus,
        format_args!("unknown NMIs on {} CPUs", run.cpus),
        format_args!("{on_each}"),
    );
    run.totals(0);
}

fn stop(run: &Run) {
    ring_once(run, 0, run.cpus - 1);
    idle::for_ms(REPORT_LIMIT_MS);
    run.settle();
    let stats = run.stats();
    check(
        "stops-the-kernel",
        false,
        format_args!("a stop by the first unknown NMI"),
        format_args!(
            "none: {} NMIs, {} unknown, {} claimed",
            stats.edges, stats.unknown, stats.claimed
        ),
    );
    run.totals(0);
}
