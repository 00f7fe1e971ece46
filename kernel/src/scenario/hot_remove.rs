// SPDX-License-Identifier: MIT OR Apache-2.0
//! A handler registered and removed in a tight loop, while NMIs storm all CPUs.
//!
//! After each removal the victim's state is poisoned: the victim records every call that sees the poison, at its beginning
//! or at its end. CPU 0 registers and removes; every other CPU rings one CPU of the others, and CPU 1 rings CPU 0 as well. A
//! CPU that is alone rings itself, between the library's own steps ([`crate::nmi::steps`]).
//!
//! What makes the scenario worth anything is that dispatches overlap removals; so they are counted, by the removal's number:
//! odd while one is in progress.

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use latchwork::{
    Claim, Class, Doorbell, EdgeModel, HandlerSpec, NmiContext, NmiHandler, RegisterError,
    Registration,
};

use super::rings::{self, Answerer, LAST};
use super::{Progress, Run, Tally, check, check_nothing_unknown, check_requests_taken};
use crate::cpu::MAX_CPUS;
use crate::nmi::{self, NMI, steps};
use crate::{apic, idle, patience, smp, time};

/// Registrations and removals.
const CYCLES: u64 = 10_000;

/// One removal in this many is made to begin while the victim runs: CPU 0 asks for a meeting, calls elsewhere wait for the removal
/// to begin, and CPU 0 waits for such a call.
const MEETING_EVERY: u64 = 16;
/// How long each waits for the other.
const MEETING_TURNS: u32 = 2_000;
/// How long the call goes on once the removal has begun.
const AFTER_MEETING_TURNS: u32 = 40;

/// How long CPU 0 waits for an NMI somewhere.
const STORM_TURNS: u32 = 2_000;

const ALIVE: u64 = 0x6c69_7665_6c69_7665;
const POISON: u64 = 0xdead_dead_dead_dead;

/// The victim's state.
static STATE: AtomicU64 = AtomicU64::new(POISON);

/// Removals begun and ended: odd while one is in progress. Writer: CPU 0. SeqCst, to be as strict as can be.
static REMOVALS: AtomicU64 = AtomicU64::new(0);

/// CPU 0 wants its next removal to begin during a call.
static MEETING_WANTED: AtomicBool = AtomicBool::new(false);

/// Calls of the victim that wait for a removal to begin.
static CALLS_WAITING: AtomicUsize = AtomicUsize::new(0);

/// What the NMIs of one CPU have seen.
struct Witness {
    /// The removal number at the beginning of the dispatch in progress.
    began_at: AtomicU64,
    /// Dispatches that began or ended while a removal was in progress.
    overlaps: Tally,
    /// Calls of the victim.
    calls: Tally,
    /// Calls that saw the poison.
    late_calls: Tally,
    /// Calls during which a removal began.
    surprised: Tally,
}

static WITNESSES: [Witness; MAX_CPUS] = [const {
    Witness {
        began_at: AtomicU64::new(0),
        overlaps: Tally::new(),
        calls: Tally::new(),
        late_calls: Tally::new(),
        surprised: Tally::new(),
    }
}; MAX_CPUS];

const fn in_progress(removals: u64) -> bool {
    removals % 2 == 1
}

/// Asked first: notes how things stood when the dispatch began.
struct Opener;
/// Asked after the victim: notes how they stood at the end.
struct Closer;
struct Victim;

static OPENER: Opener = Opener;
static CLOSER: Closer = Closer;
static VICTIM: Victim = Victim;
static ANSWERER: Answerer = Answerer;

// SAFETY: touches atomics in statics only.
unsafe impl NmiHandler for Opener {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        if let Some(witness) = WITNESSES.get(ctx.cpu()) {
            witness.began_at.store(REMOVALS.load(Ordering::SeqCst), Ordering::Relaxed);
        }
        Claim::None
    }
}

// SAFETY: touches atomics in statics only.
unsafe impl NmiHandler for Closer {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        if let Some(witness) = WITNESSES.get(ctx.cpu()) {
            let began_at = witness.began_at.load(Ordering::Relaxed);
            if in_progress(began_at) || in_progress(REMOVALS.load(Ordering::SeqCst)) {
                witness.overlaps.add(1);
            }
        }
        Claim::None
    }
}

// SAFETY: touches atomics in statics only, and waits a bounded time.
unsafe impl NmiHandler for Victim {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        let Some(witness) = WITNESSES.get(ctx.cpu()) else {
            return Claim::None;
        };
        let began_at = REMOVALS.load(Ordering::SeqCst);
        let found_poison = STATE.load(Ordering::SeqCst) != ALIVE;
        witness.calls.add(1);
        if ctx.cpu() != 0 && MEETING_WANTED.load(Ordering::SeqCst) {
            CALLS_WAITING.fetch_add(1, Ordering::SeqCst);
            patience::spin_until(|| REMOVALS.load(Ordering::SeqCst) != began_at, MEETING_TURNS);
            CALLS_WAITING.fetch_sub(1, Ordering::SeqCst);
            pause(AFTER_MEETING_TURNS);
        }
        if found_poison || STATE.load(Ordering::SeqCst) != ALIVE {
            witness.late_calls.add(1);
        }
        if !in_progress(began_at) && REMOVALS.load(Ordering::SeqCst) == began_at + 1 {
            witness.surprised.add(1);
        }
        Claim::None
    }
}

/// Whether [`ring_between_steps`] is at it already: its own send is a step, too.
static RINGING: AtomicBool = AtomicBool::new(false);

/// Rings the only CPU there is, if its last ring was answered. Any context.
pub(crate) fn ring_between_steps() {
    if RINGING.swap(true, Ordering::Relaxed) {
        return;
    }
    if rings::answered(0) == rings::sent() {
        rings::ring(0, 0);
    }
    RINGING.store(false, Ordering::Relaxed);
}

/// Who rings `target`, where there are several CPUs: CPU 0 rings nobody.
const fn sender_towards(target: usize, cpus: usize) -> usize {
    if target == 0 { 1 } else { 1 + target % (cpus - 1) }
}

/// Gusts of the storm so far. Writer: CPU 0, which then wakes the others.
static GUSTS: AtomicU64 = AtomicU64::new(0);

/// Rings its targets once in every gust, until CPU 0 is done. Sleeps in between: a CPU that is kept from running while it is in an
/// NMI holds up a removal, and where CPUs share few cores, those that wait busily would keep it.
fn keep_ringing(sender: usize, cpus: usize, over: &AtomicBool) {
    let mut sent = [0; MAX_CPUS];
    let mut gust = 0;
    while !over.load(Ordering::Acquire) {
        idle::until(|| GUSTS.load(Ordering::Acquire) != gust || over.load(Ordering::Acquire));
        gust = GUSTS.load(Ordering::Acquire);
        for target in (0..cpus).filter(|target| sender_towards(*target, cpus) == sender) {
            if rings::answered(target) == sent[target] {
                rings::ring(sender, target);
                sent[target] += 1;
            }
        }
    }
    for target in (0..cpus).filter(|target| sent[*target] != 0) {
        rings::wait_answered(target, sent[target]);
    }
}

/// Starts the next gust.
fn blow() {
    GUSTS.fetch_add(1, Ordering::Release);
    apic::send_wake_to_others();
}

fn pause(turns: u32) {
    for _ in 0..turns {
        core::hint::spin_loop();
    }
}

/// What CPU 0 does wrong.
#[derive(Clone, Copy)]
struct Mistakes {
    poison_early: bool,
    no_wait: bool,
}

/// How NMIs come to CPU 0's attention.
#[derive(Clone, Copy)]
enum Storm {
    /// There is none.
    No,
    /// CPU 0 is alone and rings itself.
    Own,
    /// Other CPUs ring, CPU 0 among others.
    Others,
}

/// Lets NMIs come, at least one of them if there is a storm.
fn let_nmis_come(storm: Storm, cpus: usize) {
    match storm {
        Storm::No => {}
        Storm::Own => ring_between_steps(),
        Storm::Others => {
            let answered = || (0..cpus).map(rings::answered).sum::<u64>();
            let before = answered();
            blow();
            patience::spin_until(|| answered() != before, STORM_TURNS);
        }
    }
}

/// Registers the victim; a slot may still drain if a fault does not wait for removals.
fn register_victim() -> Registration {
    let spec =
        HandlerSpec::new("victim", Class::Local, Doorbell::Software, EdgeModel::PerCondition)
            .priority(100);
    loop {
        match NMI.register(&spec, &VICTIM) {
            Ok(registration) => return registration,
            Err(RegisterError::ClassFull { draining, .. }) if draining != 0 => {
                core::hint::spin_loop()
            }
            Err(error) => panic!("the victim was refused: {error}"),
        }
    }
}

fn register_and_remove(cycle: u64, storm: Storm, cpus: usize, mistakes: Mistakes) {
    STATE.store(ALIVE, Ordering::SeqCst);
    let registration = register_victim();
    let meeting = cycle % MEETING_EVERY == 0 && matches!(storm, Storm::Others);
    MEETING_WANTED.store(meeting, Ordering::SeqCst);
    let_nmis_come(storm, cpus);
    if meeting {
        patience::spin_until(|| CALLS_WAITING.load(Ordering::SeqCst) != 0, MEETING_TURNS);
    }
    if mistakes.poison_early {
        STATE.store(POISON, Ordering::SeqCst);
        let_nmis_come(storm, cpus);
    }
    REMOVALS.fetch_add(1, Ordering::SeqCst);
    if mistakes.no_wait {
        let _ = registration.try_remove();
    } else {
        nmi::remove(registration);
    }
    REMOVALS.fetch_add(1, Ordering::SeqCst);
    STATE.store(POISON, Ordering::SeqCst);
    MEETING_WANTED.store(false, Ordering::SeqCst);
    pause(1 + (cycle % 5) as u32);
    if matches!(storm, Storm::Own) {
        ring_between_steps();
    }
}

pub(super) fn run(run: &Run) {
    let cycles = run.cycles(CYCLES);
    let storm = match run.cpus {
        _ if run.has_fault("no-storm") => Storm::No,
        1 => Storm::Own,
        _ => Storm::Others,
    };
    let mistakes =
        Mistakes { poison_early: run.has_fault("poison-early"), no_wait: run.has_fault("no-wait") };

    let opener = nmi::register("opener", Class::Local, 0, &OPENER);
    let closer = nmi::register("closer", Class::Local, LAST - 1, &CLOSER);
    let answerer = nmi::register("answerer", Class::Local, LAST, &ANSWERER);

    time::shuffle_turns(time::SOME_PERIOD);
    let progress = Progress::new(cycles);
    let over = AtomicBool::new(false);
    smp::on_all_cpus(&|cpu| {
        if cpu != 0 {
            if matches!(storm, Storm::Others) {
                keep_ringing(cpu, run.cpus, &over);
            }
            return;
        }
        steps::watch(matches!(storm, Storm::Own));
        for cycle in 0..cycles {
            register_and_remove(cycle, storm, run.cpus, mistakes);
            progress.at(cycle + 1);
        }
        steps::watch(false);
        over.store(true, Ordering::Release);
        apic::send_wake_to_others();
    });
    run.settle();
    report(run, cycles);

    for registration in [opener, closer, answerer] {
        nmi::remove(registration);
    }
}

fn report(run: &Run, cycles: u64) {
    let sum = |part: fn(&Witness) -> &Tally| {
        WITNESSES.iter().map(|witness| part(witness).get()).sum::<u64>()
    };
    let calls = sum(|witness| &witness.calls);
    let late_calls = sum(|witness| &witness.late_calls);
    let overlaps = sum(|witness| &witness.overlaps);
    let surprised: u64 = WITNESSES[1..].iter().map(|witness| witness.surprised.get()).sum();
    let sent = rings::sent();
    let stats = run.stats();

    let removals = REMOVALS.load(Ordering::SeqCst) / 2;
    check(
        "removals",
        removals >= CYCLES,
        format_args!("{CYCLES} or more registrations and removals"),
        format_args!("{removals} of {cycles}"),
    );
    check(
        "no-late-call",
        late_calls == 0 && calls != 0,
        format_args!("0 calls that saw the state poisoned, of more than 0 calls"),
        format_args!("{late_calls} of {calls} calls"),
    );
    let storm_on_all = (0..run.cpus).filter(|cpu| rings::answered(*cpu) != 0).count();
    check(
        "storm-on-all-cpus",
        storm_on_all == run.cpus,
        format_args!("NMIs answered by {} CPUs", run.cpus),
        format_args!("by {storm_on_all}, {} NMIs in all", stats.edges),
    );
    check(
        "dispatches-overlapped-removals",
        overlaps != 0,
        format_args!("more than 0 dispatches that began or ended during a removal"),
        format_args!("{overlaps}"),
    );
    if run.cpus > 1 {
        check(
            "removals-began-during-calls",
            surprised != 0,
            format_args!("more than 0 calls on another CPU during which a removal began"),
            format_args!("{surprised}"),
        );
    }
    check_requests_taken(sent, &stats);
    check_nothing_unknown(&stats);
    run.totals(sent.saturating_sub(stats.requests as u64));
}
