// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPUs stop others whose counters ring, let them park for long, and release them, as a debugger
//! does.
//!
//! A stopped CPU parks inside its NMI. The CPU latches what rings it meanwhile, and takes it when
//! it is released, long after the time in which a ring may be late. So the very edge that stopped
//! the CPU may have taken that ring's condition. The first two kinds of rounds make it so:
//!
//! - *torn*: the edge of an overflow takes the stop request as well, before the sender has rung;
//! - *silent*: the edge of the stop takes an overflow as well, whose ring comes later.
//!
//! Then each CPU stops all others at once, in the midst of their floods of overflows, where rings
//! collapse by chance.
//!
//! The clock ends no grant while a CPU is parked. Under the instruction clock the limits are those
//! for hardware, and a parked CPU outlives each. Where CPUs run in parallel, the host may not run a
//! CPU for longer than hardware's cap just after its release. So there the limits stay a
//! hypervisor's, and a parked CPU outlives [`Limits::late_us`].

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use latchwork::{Claim, Class, CpuStats, Limits, NmiContext, NmiHandler, Recovery, Request};

use super::{Progress, Run, Tally, check, check_nothing_unknown, pmu, quiet};
use crate::nmi::{self, NMI, parking, steps};
use crate::waiting::{Waiting, awaited};
use crate::{patience, smp, time};

/// Rounds of each kind, on all CPUs together: fewer where a guest second costs most.
const ROUNDS: usize = 8;
const ROUNDS_BY_INSTRUCTIONS: usize = 4;

/// How long CPUs are parked: longer than any grant lives by [`Limits::BARE_METAL`].
const PARKED_US: u64 = 15_000;

/// Overflows in a burst of the flood.
const BURST: u64 = 32;

/// How long a CPU may take to park, or to go on.
const PATIENCE_MS: u64 = 5_000;
const PATIENCE_INSTRUCTION_MS: u64 = 5;

/// Turns of such a wait between two looks at the clock.
const TURNS_A_LOOK: u32 = 100;

/// A wait has timed out: the scenario goes no further.
static STALLED: AtomicBool = AtomicBool::new(false);

/// The shortest time for which a CPU was parked. Writer: the CPU that releases.
static SHORTEST_PARKED_US: AtomicU64 = AtomicU64::new(u64::MAX);

/// CPUs that were parked and released, each time counted.
static PARKED: Tally = Tally::new();

fn stalled() -> bool {
    STALLED.load(Ordering::Relaxed)
}

/// Requests to stop that were taken.
static STOPS: Tally = Tally::new();

/// Counts them, and claims nothing: the library itself makes the CPU stop.
struct Witness;
static WITNESS: Witness = Witness;

// SAFETY: touches atomics in statics only.
unsafe impl NmiHandler for Witness {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        STOPS.add(ctx.requests().count(Request::Stop) as u64);
        Claim::None
    }
}

/// What rings a CPU while it is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The stop.
    Torn,
    /// An overflow.
    Silent,
}

/// Called between request and ring of a stop: an overflow's edge takes the request.
fn between_stop_and_ring(target: usize) {
    pmu::overflow(target);
    wait_until_parked(target, true);
}

/// Waits until `cpu` is parked, or is not.
fn wait_until_parked(cpu: usize, parked: bool) {
    let limit_ms = if time::is_instruction_clock() { PATIENCE_INSTRUCTION_MS } else { PATIENCE_MS };
    let start_ticks = time::now_ticks();
    let is_over = || parking::is_parked(cpu) == parked || stalled();
    let change =
        if parked { awaited!("CPU {} to park", cpu) } else { awaited!("CPU {} to go on", cpu) };
    while !patience::spin_until(change, is_over, TURNS_A_LOOK) {
        if time::now_ticks().saturating_sub(start_ticks) > limit_ms * time::ticks_per_ms() {
            STALLED.store(true, Ordering::Relaxed);
        }
    }
}

/// How a round stops CPUs: by which request, and for how long.
#[derive(Clone, Copy)]
struct Stop<'a> {
    run: &'a Run,
    request: Request,
    parked_us: u64,
}

impl<'a> Stop<'a> {
    fn of(run: &'a Run) -> Self {
        Self {
            run,
            request: if run.has_fault("not-stopped") { Request::Call } else { Request::Stop },
            parked_us: if run.has_fault("soon-released") { 0 } else { PARKED_US },
        }
    }

    fn send(&self, cpu: usize) {
        if let Err(error) = NMI.send(cpu, self.request) {
            panic!("CPU {cpu} could not be stopped: {error}");
        }
    }

    /// Lets the time pass for which `cpus` park, and releases them.
    fn release(&self, cpus: impl Iterator<Item = usize> + Clone) {
        let parked_at_ticks = time::now_ticks();
        time::delay_us(self.parked_us);
        let parked_ticks = time::now_ticks().saturating_sub(parked_at_ticks);
        let parked_us = parked_ticks * 1_000 / time::ticks_per_ms();
        SHORTEST_PARKED_US.fetch_min(parked_us, Ordering::Relaxed);
        PARKED.add(cpus.clone().filter(|cpu| parking::is_parked(*cpu)).count() as u64);
        parking::release();
        cpus.for_each(|cpu| wait_until_parked(cpu, false));
    }

    /// Stops `target`, whose thread sleeps, from its neighbour, and notes what came there.
    fn one(&self, target: usize, kind: Kind, came: &mut Came) {
        self.run.let_grants_end();
        let before = stats_of(target);
        let sender = (target + 1) % self.run.cpus;
        smp::on_all_cpus(&|cpu| {
            if cpu == sender {
                self.stop_so(sender, target, kind);
            }
        });
        self.run.settle();
        came.add(&before, &stats_of(target));
    }

    fn stop_so(&self, sender: usize, target: usize, kind: Kind) {
        if kind == Kind::Torn {
            steps::tear_next_send(sender, target);
        }
        let rings_for_nothing = self.run.has_fault("stray-ring");
        let is_to_ring =
            kind == Kind::Silent && (rings_for_nothing || pmu::overflow_silently(target));
        self.send(target);
        wait_until_parked(target, true);
        if is_to_ring {
            pmu::ring(target);
        }
        self.release(core::iter::once(target));
    }

    /// `sender` stops all others at once, in the midst of their floods.
    fn all_others(&self, sender: usize) {
        let over = AtomicBool::new(false);
        smp::on_all_cpus(&|cpu| {
            if cpu != sender {
                let _waiting = Waiting::begin(awaited!("CPU {} to stop and release all", sender));
                while !over.load(Ordering::Acquire) {
                    pmu::burst(cpu, BURST);
                }
                return;
            }
            let others = (0..self.run.cpus).filter(|it| *it != sender);
            others.clone().for_each(|cpu| self.send(cpu));
            others.clone().for_each(|cpu| wait_until_parked(cpu, true));
            self.release(others);
            over.store(true, Ordering::Release);
        });
    }
}

fn stats_of(cpu: usize) -> CpuStats {
    NMI.cpu_stats(cpu).unwrap_or_default()
}

/// What was counted in some rounds.
#[derive(Clone, Copy, Debug, Default)]
struct Came {
    rounds: usize,
    edges: usize,
    claimed: usize,
    absorbed: usize,
}

impl Came {
    fn add(&mut self, before: &CpuStats, after: &CpuStats) {
        self.rounds += 1;
        self.edges += after.edges - before.edges;
        self.claimed += after.claimed - before.claimed;
        self.absorbed += after.absorbed - before.absorbed;
    }
}

pub(super) fn run(run: &Run) {
    pmu::ANSWERS_NONE.store(run.has_fault("answers-none"), Ordering::Relaxed);
    steps::tear_sends_by(between_stop_and_ring);
    if time::is_instruction_clock() {
        nmi::set_limits(Limits::BARE_METAL);
    }
    let counters = pmu::register();
    let witness = nmi::register("witness", Class::Local, 0, &WITNESS);
    let stop = Stop::of(run);
    let least = if time::is_instruction_clock() { ROUNDS_BY_INSTRUCTIONS } else { ROUNDS };
    let rounds = least.next_multiple_of(run.cpus);
    let progress = Progress::new(3 * rounds as u64);

    let [mut torn, mut silent] = [Came::default(); 2];
    for (number, (kind, came)) in
        [(Kind::Torn, &mut torn), (Kind::Silent, &mut silent)].into_iter().enumerate()
    {
        for round in (0..rounds).take_while(|_| !stalled()) {
            stop.one(round % run.cpus, kind, came);
            progress.at((number * rounds + round + 1) as u64);
        }
    }
    let quiet = quiet::register();
    for round in (0..rounds).take_while(|_| !stalled()) {
        stop.all_others(round % run.cpus);
        progress.at((2 * rounds + round + 1) as u64);
    }
    run.let_grants_end();
    run.settle();

    check_rounds("stop-taken-by-an-overflow", &torn, rounds);
    check_rounds("overflow-taken-by-a-stop", &silent, rounds);
    report(run, rounds);
    nmi::set_limits(nmi::limits());
    nmi::remove(quiet);
    nmi::remove(witness);
    nmi::remove(counters);
}

fn check_rounds(name: &str, came: &Came, rounds: usize) {
    check(
        name,
        came.rounds == rounds
            && came.edges == 2 * rounds
            && came.claimed == rounds
            && came.absorbed == rounds,
        format_args!(
            "two NMIs in each of {rounds} rounds: one claimed with both, one absorbed when the CPU \
             is released"
        ),
        format_args!(
            "in {}: {} NMIs, {} claimed, {} absorbed",
            came.rounds, came.edges, came.claimed, came.absorbed
        ),
    );
}

fn report(run: &Run, rounds: usize) {
    let parked = (2 * rounds + rounds * (run.cpus - 1)) as u64;
    let shortest_us = SHORTEST_PARKED_US.load(Ordering::Relaxed);
    check(
        "cpus-are-parked-for-long",
        PARKED.get() == parked && shortest_us >= PARKED_US && !stalled(),
        format_args!("CPUs parked {parked} times, for {PARKED_US} us or more, and released"),
        format_args!(
            "{} times, for {shortest_us} us at least{}",
            PARKED.get(),
            if stalled() { "; one did not park or go on in time" } else { "" }
        ),
    );
    let (stats, recovery) = (run.stats(), NMI.recovery_stats());
    check(
        "each-stop-is-taken-once",
        STOPS.get() == parked,
        format_args!("{parked} requests to stop taken, as many as CPUs parked"),
        format_args!("{}", STOPS.get()),
    );
    let (overflows, claims) = pmu::totals();
    check(
        "every-overflow-claimed-once",
        overflows == claims && overflows >= parked,
        format_args!("{overflows} overflows of the counters claimed, {parked} or more"),
        format_args!("{claims}"),
    );
    check(
        "polls-are-paid-meanwhile",
        recovery.paid_by_tick != 0
            && (recovery.probes != 0) == (run.recovery() == Recovery::ProbeNmi),
        format_args!("some polls that are owed are paid by ticks, {}", how_paid(run)),
        format_args!("{}, {} probes", recovery.paid_by_tick, recovery.probes),
    );
    check_nothing_unknown(&stats);
    run.totals(overflows.saturating_sub(claims));
}

fn how_paid(run: &Run) -> &'static str {
    if run.recovery() == Recovery::ProbeNmi { "by probes" } else { "without probes" }
}
