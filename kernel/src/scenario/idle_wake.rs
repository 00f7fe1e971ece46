// SPDX-License-Identifier: MIT OR Apache-2.0
//! NMIs race the wake-ups of an idle CPU: none is lost.
//!
//! An NMI between the STI and the HLT of an idle loop ends the shadow in which interrupts wait for
//! the HLT, and a pending wake-up is then taken too early. So the sleeper makes its own wake-up
//! pending with interrupts off and goes to sleep at once, while CPU 0 rings it at about that time.
//! A wake-up taken too early leaves the sleeper asleep for good: its tick is stopped, and the next
//! NMI comes only after it has woken.
//!
//! Where CPUs run in parallel the race comes by itself. Under the instruction clock, where a CPU
//! keeps its turn until it pauses, the scenario has turns end at all kinds of instruction
//! boundaries ([`time::shuffle_turns`]).

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use latchwork::Class;
use latchwork_x86::idle;

use super::rings::{self, Answerer, LAST};
use super::{Progress, Run, Tally, check};
use crate::cpu::{self, area};
use crate::nmi::{self, entry};
use crate::waiting::{Waiting, awaited};
use crate::{apic, patience, smp, tick, time};

/// Sleeps, on all CPUs together. In parallel an NMI hits the one instruction in question once in
/// some hundred sleeps, under the instruction clock once in some ten thousand, if at all: the
/// machine repeats itself.
const SLEEPS: u64 = 8_000;
const SLEEPS_BY_INSTRUCTIONS: u64 = 60_000;

/// How long a CPU may take to wake before its wake-up counts as lost: generous where its host may
/// be busy, short where time is counted in instructions.
const LOST_AFTER_MS: u64 = 1_500;
const LOST_AFTER_INSTRUCTION_MS: u64 = 20;

/// Under the instruction clock, the 8254's period is chosen anew after so many sleeps, from 2 up to
/// this.
const SLEEPS_A_PERIOD: u64 = 16;
const LONGEST_PERIOD: u64 = 40;

/// The number of turns between the sleeper's sign and the ring varies up to this.
const JITTER_TURNS: u64 = 24;

static ANSWERER: Answerer = Answerer;

/// The words by which the sleeper and CPU 0 synchronise.
struct Meeting {
    /// The sleep that the sleeper is ready for, from 1.
    ready: AtomicU64,
    /// The sleep that the sleeper may begin: CPU 0 is about to ring.
    begun: AtomicU64,
    /// The sleep that has ended.
    woken: AtomicU64,
    /// CPU 0 sleeps until the sleeper stores something. SeqCst fences: see
    /// [`Meeting::store_and_wake`].
    watcher_sleeps: AtomicBool,
    /// CPU 0 has given up.
    over: AtomicBool,
    sleeps: Tally,
    lost: Tally,
}

impl Meeting {
    /// Stores `number` for the sleeper, then wakes CPU 0 if it sleeps. The fence here and the one
    /// in [`Self::watch_until`] keep each CPU from missing the other's store.
    fn store_and_wake(&self, word: &AtomicU64, number: u64) {
        word.store(number, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.watcher_sleeps.load(Ordering::Relaxed)
            && self.watcher_sleeps.swap(false, Ordering::Relaxed)
        {
            apic::send_wake(0);
        }
    }

    /// Waits on CPU 0 until the sleeper has stored `number`, and returns whether it came in time.
    fn watch_until(&self, word: &AtomicU64, number: u64) -> bool {
        let has_come = || word.load(Ordering::Acquire) == number;
        let sleeper = awaited!("the sleeper's word about sleep {}", number);
        if patience::spin_until(sleeper, has_come, 1_000) {
            return true;
        }
        let limit_ms =
            if time::is_instruction_clock() { LOST_AFTER_INSTRUCTION_MS } else { LOST_AFTER_MS };
        let came_before_sleeping = || {
            self.watcher_sleeps.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            has_come()
        };
        crate::idle::until_or_ms(sleeper, came_before_sleeping, limit_ms)
    }
}

/// Sleeps `sleeps` times, each time with a wake-up that is pending already.
fn sleep(meeting: &Meeting, sleeps: u64, wake: bool) {
    let Some(area) = area::this() else {
        return;
    };
    let enabled = cpu::interrupts_off();
    tick::stop();
    for number in 1..=sleeps {
        let before = area.wakes.load(Ordering::Relaxed);
        meeting.store_and_wake(&meeting.ready, number);
        let may_begin = || {
            meeting.begun.load(Ordering::Acquire) == number || meeting.over.load(Ordering::Relaxed)
        };
        patience::spin(awaited!("CPU 0 to let it sleep for time {}", number), may_begin);
        if wake {
            apic::send_wake_to_self();
        }
        let _waiting = Waiting::begin(awaited!("the wake-up that it has sent itself"));
        while area.wakes.load(Ordering::Relaxed) == before && !meeting.over.load(Ordering::Relaxed)
        {
            // SAFETY: privilege level 0, interrupts off, nothing held; the NMI entry fixes the
            // window up unless a fault is wanted.
            unsafe { idle::wait_for_interrupt() };
        }
        meeting.store_and_wake(&meeting.woken, number);
        if meeting.over.load(Ordering::Relaxed) {
            break;
        }
    }
    cpu::interrupts_restore(enabled);
    tick::start();
}

/// Numbers without a pattern that the race could fall into step with.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Rings the sleeper about when it goes to sleep, and watches over it.
fn disturb(meeting: &Meeting, sleeper: usize, sleeps: u64, ring: bool, progress: &Progress) {
    let mut rung = 0;
    let mut dice = Dice(sleeper as u64);
    for number in 1..=sleeps {
        if number % SLEEPS_A_PERIOD == 1 {
            time::shuffle_turns((2 + dice.below(LONGEST_PERIOD - 1)) as u16);
        }
        if !meeting.watch_until(&meeting.ready, number) {
            meeting.lost.add(1);
            meeting.over.store(true, Ordering::Relaxed);
            return;
        }
        meeting.begun.store(number, Ordering::Release);
        if ring && rings::answered(sleeper) == rung {
            for turn in 0..dice.below(JITTER_TURNS) {
                core::hint::black_box(turn);
            }
            rings::ring(0, sleeper);
            rung += 1;
        }
        if !meeting.watch_until(&meeting.woken, number) {
            meeting.lost.add(1);
            meeting.over.store(true, Ordering::Relaxed);
            apic::send_wake(sleeper);
            return;
        }
        meeting.sleeps.add(1);
        progress.at((sleeper as u64 - 1) * sleeps + number);
    }
}

pub(super) fn run(run: &Run) {
    let ring = !run.has_fault("no-nmi");
    let wake = !run.has_fault("no-wake");
    let sleepers = run.cpus as u64 - 1;
    let least = if time::is_instruction_clock() { SLEEPS_BY_INSTRUCTIONS } else { SLEEPS };
    if run.has_fault("no-fix-up") {
        entry::skip_idle_fix_up();
    }
    let each = run.cycles(least) / sleepers;

    let answerer = nmi::register("answerer", Class::Local, LAST, &ANSWERER);
    let meetings = [const {
        Meeting {
            ready: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            woken: AtomicU64::new(0),
            watcher_sleeps: AtomicBool::new(false),
            over: AtomicBool::new(false),
            sleeps: Tally::new(),
            lost: Tally::new(),
        }
    }; cpu::MAX_CPUS];
    let progress = Progress::new(each * sleepers);
    for (sleeper, meeting) in meetings.iter().enumerate().take(run.cpus).skip(1) {
        smp::on_all_cpus(&|cpu| match cpu {
            0 => disturb(meeting, sleeper, each, ring, &progress),
            _ if cpu == sleeper => sleep(meeting, each, wake),
            _ => {}
        });
        if meeting.lost.get() != 0 {
            break;
        }
    }
    time::shuffle_turns(0);
    run.settle();

    let sleeps: u64 = meetings.iter().map(|meeting| meeting.sleeps.get()).sum();
    let lost: u64 = meetings.iter().map(|meeting| meeting.lost.get()).sum();
    let stats = run.stats();
    check(
        "no-wake-up-lost",
        lost == 0 && sleeps == sleepers * each,
        format_args!("0 wake-ups lost in {} sleeps", sleepers * each),
        format_args!("{lost} lost, {sleeps} CPUs woken in time"),
    );
    check(
        "nmis-while-going-to-sleep",
        stats.edges as u64 >= sleeps / 2 && stats.edges != 0,
        format_args!("an NMI in every second sleep or more"),
        format_args!("{} NMIs in {sleeps} sleeps", stats.edges),
    );
    check(
        "nothing-unknown",
        stats.unknown == 0 && stats.requests as u64 == rings::sent() && stats.edges != 0,
        format_args!("0 unknown, all requests taken"),
        format_args!(
            "{} unknown, {} of {} requests taken",
            stats.unknown,
            stats.requests,
            rings::sent()
        ),
    );
    run.totals(rings::sent().saturating_sub(stats.requests as u64));
    nmi::remove(answerer);
}
