// SPDX-License-Identifier: MIT OR Apache-2.0
//! A handler registered and removed in a tight loop, while NMIs storm all CPUs.
//!
//! CPU 0 registers and removes, under a [`storm`] of NMIs on all CPUs. After each removal it
//! poisons the victim's state. The victim counts every call that sees the poison, at its beginning
//! or at its end.
//!
//! The scenario shows something only if dispatches overlap removals, so it counts those that do
//! ([`super::removals`]).

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use latchwork::{Claim, Class, NmiContext, NmiHandler};

use super::removals::{self, Closer, Opener};
use super::rings::{self, Answerer, LAST};
use super::storm::{self, Storm};
use super::{Progress, Run, Tally, check, check_nothing_unknown, check_requests_taken};
use crate::nmi::{self, steps};
use crate::waiting::awaited;
use crate::{patience, smp, time};

/// Registrations and removals.
const CYCLES: u64 = 10_000;

/// How many times as many CPU 0 makes at most until one removal has begun during a call elsewhere:
/// on a busy host, CPUs seldom run at the same time.
const MOST_TIMES: u64 = 4;

/// One removal in this many begins while the victim runs: CPU 0 asks for a meeting, calls elsewhere
/// wait for the removal to begin, and CPU 0 waits for such a call.
const MEETING_EVERY: u64 = 16;
/// How long each of the two waits for the other.
const MEETING_TURNS: u32 = 2_000;
/// How long the call goes on once the removal has begun.
const AFTER_MEETING_TURNS: u32 = 40;

const ALIVE: u64 = 0x6c69_7665_6c69_7665;
const POISON: u64 = 0xdead_dead_dead_dead;

/// The victim's state.
static STATE: AtomicU64 = AtomicU64::new(POISON);

/// CPU 0 wants its next removal to begin during a call.
static MEETING_WANTED: AtomicBool = AtomicBool::new(false);

/// Calls of the victim that wait for a removal to begin.
static CALLS_WAITING: AtomicUsize = AtomicUsize::new(0);

/// Calls of the victim.
static CALLS: Tally = Tally::new();

/// Calls that saw the poison.
static LATE_CALLS: Tally = Tally::new();

struct Victim;

static OPENER: Opener = Opener;
static CLOSER: Closer = Closer;
static VICTIM: Victim = Victim;
static ANSWERER: Answerer = Answerer;

// SAFETY: touches atomics in statics only, and waits a bounded time.
unsafe impl NmiHandler for Victim {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        let began_at = removals::number();
        let found_poison = STATE.load(Ordering::SeqCst) != ALIVE;
        CALLS.add(1);
        if ctx.cpu() != 0 && MEETING_WANTED.load(Ordering::SeqCst) {
            CALLS_WAITING.fetch_add(1, Ordering::SeqCst);
            let has_begun = || removals::number() != began_at;
            patience::spin_until(awaited!("a removal to begin"), has_begun, MEETING_TURNS);
            CALLS_WAITING.fetch_sub(1, Ordering::SeqCst);
            storm::pause(AFTER_MEETING_TURNS);
        }
        if found_poison || STATE.load(Ordering::SeqCst) != ALIVE {
            LATE_CALLS.add(1);
        }
        removals::note_call(ctx, began_at);
        Claim::None
    }
}

/// What CPU 0 does wrong.
#[derive(Clone, Copy)]
struct Mistakes {
    poison_early: bool,
    no_wait: bool,
}

fn register_and_remove(cycle: u64, storm: Storm, cpus: usize, mistakes: Mistakes) {
    STATE.store(ALIVE, Ordering::SeqCst);
    let registration = nmi::register("victim", Class::Local, 100, &VICTIM);
    let meeting = cycle % MEETING_EVERY == 0 && matches!(storm, Storm::Others);
    MEETING_WANTED.store(meeting, Ordering::SeqCst);
    storm.let_nmis_come(cpus);
    if meeting {
        let is_called = || CALLS_WAITING.load(Ordering::SeqCst) != 0;
        patience::spin_until(awaited!("a call of the victim"), is_called, MEETING_TURNS);
    }
    if mistakes.poison_early {
        STATE.store(POISON, Ordering::SeqCst);
        storm.let_nmis_come(cpus);
    }
    removals::begin();
    if mistakes.no_wait {
        let _ = registration.try_remove();
    } else {
        nmi::remove(registration);
    }
    removals::end();
    STATE.store(POISON, Ordering::SeqCst);
    MEETING_WANTED.store(false, Ordering::SeqCst);
    storm::pause(1 + (cycle % 5) as u32);
    if matches!(storm, Storm::Own) {
        storm.let_nmis_come(cpus);
    }
}

pub(super) fn run(run: &Run) {
    let cycles = run.cycles(CYCLES);
    let storm = Storm::of(run);
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
                storm::keep_ringing(cpu, run.cpus, &over);
            }
            return;
        }
        steps::watch(matches!(storm, Storm::Own));
        for cycle in 0..MOST_TIMES * cycles {
            let is_seen = !matches!(storm, Storm::Others) || removals::surprised_elsewhere() != 0;
            if cycle >= cycles && is_seen {
                break;
            }
            register_and_remove(cycle, storm, run.cpus, mistakes);
            if cycle < cycles {
                progress.at(cycle + 1);
            }
        }
        steps::watch(false);
        storm::calm(&over);
    });
    run.settle();
    report(run, cycles);

    for registration in [opener, closer, answerer] {
        nmi::remove(registration);
    }
}

fn report(run: &Run, cycles: u64) {
    let calls = CALLS.get();
    let late_calls = LATE_CALLS.get();
    let overlaps = removals::overlaps();
    let surprised = removals::surprised_elsewhere();
    let sent = rings::sent();
    let stats = run.stats();

    let removals = removals::ended();
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
