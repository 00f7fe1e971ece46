// SPDX-License-Identifier: MIT OR Apache-2.0
//! Probes collapse with other NMIs of their CPU.
//!
//! A tick that finds a poll owed for long enough sends its CPU a probe, an ordinary request. Its
//! edge may collapse with another edge of that CPU, or find that another has taken the probe. Three
//! phases make that happen:
//!
//! - *torn*: the counters ([`super::pmu`]) overflow between a tick's probe and its ring, so their
//!   edge takes the probe, and the probe's ring finds nothing: it is absorbed, each time;
//! - *inside*: a CPU sends itself probes inside its NMIs, while the next overflow is latched: two
//!   rings, one edge;
//! - *others*: other CPUs ring a CPU by requests all the time, and its ticks' probes dawdle before
//!   they ring.

use core::sync::atomic::{AtomicBool, Ordering};

use latchwork::{Claim, Class, CpuStats, NmiContext, NmiHandler, Recovery, Request};

use super::{Progress, Run, Tally, check, check_nothing_unknown, check_requests_taken, pmu, quiet};
use crate::cpu::{MAX_CPUS, area};
use crate::nmi::{NMI, steps};
use crate::waiting::awaited;
use crate::{apic, idle, nmi, patience, smp, time};

/// Torn probes of each CPU.
const TORN_PROBES: u64 = 8;

/// How long a CPU waits for a tick of its own to send a probe; other CPUs' ticks may pay instead.
const PROBE_LIMIT_MS: u64 = 20;

/// Debts that a CPU makes at most for its torn probes.
const MOST_DEBTS: u64 = 60 * TORN_PROBES;

/// Overflows of each CPU while it sends itself probes.
const INSIDE: u64 = 64;

/// How long others ring, in ticks of each CPU: at least; and at most, while no probe has met a ring
/// yet.
const OTHERS_TICKS: u64 = 32;
const MOST_OTHERS_TICKS: u64 = 500;

/// How long a probe dawdles before it rings, while others ring.
const DAWDLE_TURNS: u32 = 10_000;

/// How long a CPU waits for another to take its ring.
const RING_TURNS: u32 = 50;

/// How long a torn probe waits for the edge that takes it.
const TORN_TURNS: u32 = 1_000_000;

/// Other CPUs ring while a probe is on its way, and its own CPU does not. Written between phases.
static OTHERS_RING: AtomicBool = AtomicBool::new(false);

/// CPUs send themselves probes in their bursts. Written between phases.
static PROBES_INSIDE: AtomicBool = AtomicBool::new(false);

/// Nothing rings while a probe is on its way: the fault `apart`.
static APART: AtomicBool = AtomicBool::new(false);

/// Ticks' probes that an overflow's edge took between their request and their ring.
static TORN: Tally = Tally::new();

/// Probes sent inside NMIs.
static SENT_INSIDE: Tally = Tally::new();

/// Requests that CPUs sent to others.
static CALLS_SENT: Tally = Tally::new();

/// Requests of other CPUs that each CPU has taken, and how often one NMI took some together with a
/// probe. Each CPU counts its own, in NMIs.
static CALLS: [Tally; MAX_CPUS] = [const { Tally::new() }; MAX_CPUS];
static MET: [Tally; MAX_CPUS] = [const { Tally::new() }; MAX_CPUS];

/// Counts requests, and claims nothing: a request explains its edge by itself.
struct Witness;
static WITNESS: Witness = Witness;

// SAFETY: touches atomics in statics only.
unsafe impl NmiHandler for Witness {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        let calls = ctx.requests().count(Request::Call) as u64;
        let met = calls != 0 && ctx.requests().count(Request::Probe) != 0;
        if let (Some(taken), Some(mets)) = (CALLS.get(ctx.cpu()), MET.get(ctx.cpu())) {
            taken.add(calls);
            mets.add(u64::from(met));
        }
        Claim::None
    }
}

/// Probes that an NMI took together with another ring's condition, on `cpu`.
fn probes_taken_with_others(cpu: usize) -> u64 {
    pmu::taken_with_probes(cpu) + MET[cpu].get()
}

/// Called between the request and the ring of a probe that a tick of CPU `cpu`, which is this one,
/// sends.
fn between_probe_and_ring(cpu: usize) {
    if APART.load(Ordering::Relaxed) {
        return;
    }
    let before = probes_taken_with_others(cpu);
    let is_taken = || probes_taken_with_others(cpu) != before;
    if OTHERS_RING.load(Ordering::Relaxed) {
        patience::spin_until(awaited!("the next edge to take a probe"), is_taken, DAWDLE_TURNS);
        return;
    }
    pmu::overflow(cpu);
    let is_claimed = || !pmu::has_overflowed(cpu);
    patience::spin_until(awaited!("its own overflow to be claimed"), is_claimed, TORN_TURNS);
    TORN.add(u64::from(is_taken()));
}

/// Called inside an NMI of a burst of CPU `cpu`, which is this one; the next overflow is latched.
fn probe_inside(cpu: usize) {
    if PROBES_INSIDE.load(Ordering::Relaxed) && NMI.send(cpu, Request::Probe).is_ok() {
        SENT_INSIDE.add(1);
    }
}

/// What was counted in a phase.
#[derive(Clone, Copy, Debug)]
struct Came {
    edges: u64,
    claimed: u64,
    absorbed: u64,
    requests: u64,
    overflows: u64,
    with_probes: u64,
}

impl Came {
    /// The counts so far.
    fn in_all(run: &Run) -> Self {
        let CpuStats { edges, claimed, absorbed, requests, .. } = run.stats();
        Self {
            edges: edges as u64,
            claimed: claimed as u64,
            absorbed: absorbed as u64,
            requests: requests as u64,
            overflows: pmu::totals().0,
            with_probes: (0..run.cpus).map(probes_taken_with_others).sum(),
        }
    }

    /// The counts during `act`, with no grants at the beginning.
    fn during(run: &Run, act: impl FnOnce()) -> Self {
        run.let_grants_end();
        run.settle();
        let before = Self::in_all(run);
        act();
        run.settle();
        let after = Self::in_all(run);
        Self {
            edges: after.edges - before.edges,
            claimed: after.claimed - before.claimed,
            absorbed: after.absorbed - before.absorbed,
            requests: after.requests - before.requests,
            overflows: after.overflows - before.overflows,
            with_probes: after.with_probes - before.with_probes,
        }
    }
}

/// Makes each CPU's ticks send torn probes.
fn tear_probes() {
    smp::on_all_cpus(&|cpu| {
        let mut torn = 0;
        for _ in 0..MOST_DEBTS {
            if torn == TORN_PROBES {
                break;
            }
            steps::tear_next_send(cpu, cpu);
            pmu::overflow(cpu);
            let probe = awaited!("a tick to send a probe");
            idle::until_or_ms(probe, || !steps::is_to_tear(cpu), PROBE_LIMIT_MS);
            torn += u64::from(!steps::is_to_tear(cpu));
            steps::tear_nothing(cpu);
        }
    });
}

/// Rings `cpu` by a request, if it has taken the last one, and waits a while until it takes this
/// one. Only this CPU calls `cpu`.
fn call(cpu: usize, sent: &mut u64) {
    let taken = || CALLS[cpu].get();
    if taken() == *sent {
        match NMI.send(cpu, Request::Call) {
            Ok(()) => *sent += 1,
            Err(error) => panic!("CPU {cpu} could not be rung: {error}"),
        }
    }
    let are_taken = || taken() == *sent;
    patience::spin_until(awaited!("its requests to be taken"), are_taken, RING_TURNS);
}

/// Each CPU rings the next one all the time, while ticks send probes.
fn ring_others(run: &Run) {
    let met_before: u64 = (0..run.cpus).map(probes_taken_with_others).sum();
    let apart = run.has_fault("apart");
    OTHERS_RING.store(run.cpus > 1, Ordering::Relaxed);
    time::shuffle_turns(time::SOME_PERIOD);
    smp::on_all_cpus(&|cpu| {
        let ticks = || area::this().map_or(0, |area| area.ticks.load(Ordering::Relaxed));
        let start = ticks();
        let mut sent = 0;
        let neighbour = (cpu + 1) % run.cpus;
        let some_met = || (0..run.cpus).map(probes_taken_with_others).sum::<u64>() != met_before;
        let is_over =
            |ticks| ticks >= OTHERS_TICKS && (some_met() || apart) || ticks >= MOST_OTHERS_TICKS;
        while !is_over(ticks() - start) {
            steps::tear_next_send(cpu, cpu);
            if neighbour == cpu {
                pmu::overflow(cpu);
            } else {
                call(neighbour, &mut sent);
            }
        }
        steps::tear_nothing(cpu);
        CALLS_SENT.add(sent);
    });
    time::shuffle_turns(0);
}

pub(super) fn run(run: &Run) {
    APART.store(run.has_fault("apart"), Ordering::Relaxed);
    pmu::ANSWERS_NONE.store(run.has_fault("answers-none"), Ordering::Relaxed);
    if run.has_fault("no-probes") {
        NMI.set_recovery(Recovery::Poll);
    }
    steps::tear_sends_by(between_probe_and_ring);
    pmu::call_in_bursts(probe_inside);
    let counters = pmu::register();
    let witness = nmi::register("witness", Class::Local, 0, &WITNESS);
    let quiet = quiet::register();

    let progress = Progress::new(3);
    let torn = Came::during(run, tear_probes);
    let torn_probes = TORN.get();
    progress.at(1);
    PROBES_INSIDE.store(!run.has_fault("apart"), Ordering::Relaxed);
    let inside = Came::during(run, || smp::on_all_cpus(&|cpu| pmu::burst(cpu, INSIDE)));
    PROBES_INSIDE.store(false, Ordering::Relaxed);
    progress.at(2);
    let others = Came::during(run, || ring_others(run));
    progress.at(3);
    if run.has_fault("stray-ring") {
        run.let_grants_end();
        let _ = apic::send_nmi(0);
        run.settle();
    }

    check_torn(run, &torn, torn_probes);
    check_inside(run, &inside);
    check_others(run, &others);
    report(run);
    nmi::remove(quiet);
    nmi::remove(witness);
    nmi::remove(counters);
}

fn check_torn(run: &Run, came: &Came, torn: u64) {
    let fewest = TORN_PROBES * run.cpus as u64;
    check(
        "ring-of-a-taken-probe-is-absorbed",
        torn >= fewest
            && came.with_probes >= torn
            && came.absorbed == torn
            && came.claimed + came.absorbed == came.edges
            && came.edges == came.overflows + came.requests,
        format_args!(
            "an NMI for each overflow and each probe, one absorbed for each of {fewest} or more \
             probes that another edge took"
        ),
        format_args!(
            "{} overflows, {} probes, {torn} of them so; {} NMIs, {} claimed, {} absorbed",
            came.overflows, came.requests, came.edges, came.claimed, came.absorbed
        ),
    );
}

fn check_inside(run: &Run, came: &Came) {
    let fewest = (INSIDE - 1) * run.cpus as u64;
    let sent = SENT_INSIDE.get();
    let collapsed = (came.overflows + came.requests).saturating_sub(came.edges);
    check(
        "probes-collapse-with-latched-rings",
        sent >= fewest
            && came.with_probes >= sent
            && collapsed >= sent
            && came.claimed + came.absorbed == came.edges,
        format_args!(
            "{fewest} or more probes sent inside NMIs, each taken with the overflow that was \
             latched, by one NMI"
        ),
        format_args!(
            "{sent} sent, {} taken so, {collapsed} rings collapsed; {} NMIs, {} claimed, {} \
             absorbed",
            came.with_probes, came.edges, came.claimed, came.absorbed
        ),
    );
}

/// Checks that some probes met a ring of another CPU. How many did is chance.
fn check_others(run: &Run, came: &Came) {
    check(
        "probes-meet-rings-of-other-cpus",
        came.with_probes != 0
            && came.requests >= OTHERS_TICKS / 4
            && came.claimed + came.absorbed == came.edges
            && came.edges <= came.overflows + came.requests,
        format_args!(
            "some probes taken by other rings' edges; no more NMIs than overflows and requests"
        ),
        format_args!(
            "{} overflows on {} CPUs, {} requests, {} probes among them so; {} NMIs, {} claimed, \
             {} absorbed",
            came.overflows,
            run.cpus,
            came.requests,
            came.with_probes,
            came.edges,
            came.claimed,
            came.absorbed
        ),
    );
}

fn report(run: &Run) {
    let (stats, recovery) = (run.stats(), NMI.recovery_stats());
    let sent = recovery.probes as u64 + SENT_INSIDE.get() + CALLS_SENT.get();
    check_requests_taken(sent, &stats);
    let (overflows, claims) = pmu::totals();
    check(
        "every-overflow-claimed-once",
        overflows == claims && overflows != 0,
        format_args!("{overflows} overflows of the counters claimed, and some were"),
        format_args!("{claims}"),
    );
    check_nothing_unknown(&stats);
    run.totals(overflows.saturating_sub(claims));
}
