// SPDX-License-Identifier: MIT OR Apache-2.0
//! NMIs queue deferred work as fast as they come, on every CPU and from one CPU to the next.
//!
//! Each CPU has bursts of overflows ([`super::pmu`]), each of which queues an [item](items). In
//! between it sleeps without a tick until its lazy item has run, so its tick stops while others
//! queue. Some runs make NMIs come on top, which queue while the list drains. And CPU 0 sends one
//! CPU after the other offline: that CPU runs its items itself as it goes, or leaves them to the
//! others.

mod items;
mod report;

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use latchwork::Urgency;

use self::items::LOSE_RUNS;
use super::{Progress, Run, Tally, pmu, quiet};
use crate::console::println;
use crate::cpu::{self, MAX_CPUS};
use crate::nmi::{self, NMI};
use crate::waiting::{Awaited, awaited};
use crate::{apic, idle, patience, smp, tick, time};

/// Times that a CPU goes offline: fewer where a guest second costs most. Each CPU goes twice or
/// more.
const ROUNDS: u64 = 28;
const ROUNDS_BY_INSTRUCTIONS: u64 = 20;

/// How long all CPUs are online between two rounds, in ticks of CPU 0.
const ONLINE_TICKS: u64 = 1;

/// Overflows of a burst.
const BURST: u64 = 32;

/// Bursts of CPU 0 while another CPU is offline.
const BURSTS_A_ROUND: u64 = 4;

/// How long CPU 0 waits for another CPU.
const PATIENCE_MS: u64 = 5_000;
const PATIENCE_INSTRUCTION_MS: u64 = 50;

/// Turns of such a wait between two bursts.
const TURNS_A_BURST: u32 = 200;

/// How long items may take to run once no CPU queues any more.
const IDLE_LIMIT_MS: u64 = 1_000;

const NOBODY: usize = MAX_CPUS;

/// The CPU that is to be offline. Written by CPU 0, read by the others.
static LEAVER: AtomicUsize = AtomicUsize::new(NOBODY);

/// Whether that CPU leaves its items to others. Written before the above.
static LEAVES_ITEMS: AtomicBool = AtomicBool::new(false);

/// The CPU that is offline. Written by that CPU.
static AWAY: AtomicUsize = AtomicUsize::new(NOBODY);

/// The storm is over. Written by CPU 0.
static OVER: AtomicBool = AtomicBool::new(false);

/// CPUs do not tell the library that they go offline: the fault `unannounced`. Written before the
/// storm.
static UNANNOUNCED: AtomicBool = AtomicBool::new(false);

/// How many NMIs of each CPU have queued something. Each CPU counts its own, in NMIs.
static TURNS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// How many CPUs there are. Written before the storm.
static CPUS: AtomicUsize = AtomicUsize::new(1);

static ROUNDS_DONE: Tally = Tally::new();

/// Queues an item of this CPU or of the next, inside an NMI of CPU `cpu`, which is this one.
fn queue_one(cpu: usize) {
    let Some(turns) = TURNS.get(cpu) else {
        return;
    };
    let turn = turns.fetch_add(1, Ordering::Relaxed);
    let neighbour = cpu.wrapping_add(1).checked_rem(CPUS.load(Ordering::Relaxed)).unwrap_or(cpu);
    let home = if turn & 2 == 0 { cpu } else { neighbour };
    items::queue(home, if turn & 1 == 0 { Urgency::Now } else { Urgency::Lazy });
}

fn is_over() -> bool {
    OVER.load(Ordering::Acquire)
}

fn is_to_leave(cpu: usize) -> bool {
    LEAVER.load(Ordering::Acquire) == cpu
}

/// The job of every CPU but the first.
fn attend(cpu: usize) {
    while !is_over() {
        if is_to_leave(cpu) {
            be_offline(cpu);
        }
        pmu::burst(cpu, BURST);
        let may_go_on = || items::is_idle(cpu, Urgency::Lazy) || is_to_leave(cpu) || is_over();
        idle::until(awaited!("its lazy items to have run"), may_go_on);
    }
}

/// Goes offline, with items that wait, and comes back on CPU 0's order.
fn be_offline(cpu: usize) {
    let enabled = cpu::interrupts_off();
    pmu::burst(cpu, BURST);
    let announced = !UNANNOUNCED.load(Ordering::Relaxed);
    if announced {
        if let Err(error) = NMI.go_offline() {
            panic!("CPU {cpu} could not go offline: {error}");
        }
        if !LEAVES_ITEMS.load(Ordering::Relaxed) {
            NMI.run_work();
        }
    }
    AWAY.store(cpu, Ordering::Release);
    patience::spin(awaited!("CPU 0 to call it back"), || !is_to_leave(cpu) || is_over());
    if announced {
        if let Err(error) = NMI.come_online() {
            panic!("CPU {cpu} could not come online: {error}");
        }
        NMI.run_work();
    }
    AWAY.store(NOBODY, Ordering::Release);
    cpu::interrupts_restore(enabled);
}

/// Waits on CPU 0 until `done`, with a burst now and then. Returns whether it came.
fn wait(awaited: Awaited, done: impl Fn() -> bool) -> bool {
    let limit_ms = if time::is_instruction_clock() { PATIENCE_INSTRUCTION_MS } else { PATIENCE_MS };
    let start_ticks = time::now_ticks();
    while !patience::spin_until(awaited, &done, TURNS_A_BURST) {
        if time::now_ticks().saturating_sub(start_ticks) > limit_ms * time::ticks_per_ms() {
            println!("gave up waiting for {awaited}");
            return false;
        }
        pmu::burst(0, BURST);
        idle::until_or_ms(awaited, &done, 1);
    }
    true
}

/// Sends `leaver` offline and back. Returns whether all went as it should.
fn round(leaver: usize, leaves_items: bool) -> bool {
    LEAVES_ITEMS.store(leaves_items, Ordering::Relaxed);
    LEAVER.store(leaver, Ordering::Release);
    apic::send_wake(leaver);
    if !wait(awaited!("a CPU that goes"), || AWAY.load(Ordering::Acquire) == leaver) {
        return false;
    }
    for _ in 0..BURSTS_A_ROUND {
        pmu::burst(0, BURST);
    }
    let items_ran = wait(awaited!("items that a CPU has left"), || items::are_idle(leaver));
    LEAVER.store(NOBODY, Ordering::Release);
    let returned = wait(awaited!("a CPU that returns"), || AWAY.load(Ordering::Acquire) != leaver);
    ROUNDS_DONE.add(u64::from(items_ran && returned));
    items_ran && returned
}

/// CPU 0's part.
fn conduct(run: &Run, rounds: u64) {
    let progress = Progress::new(rounds);
    for number in 0..rounds {
        let leaver = 1 + (number / 2 % (run.cpus as u64 - 1)) as usize;
        if !round(leaver, number % 2 == 0) {
            break;
        }
        tick::sleep_for(ONLINE_TICKS);
        progress.at(number + 1);
    }
    OVER.store(true, Ordering::Release);
    apic::send_wake_to_others();
}

pub(super) fn run(run: &Run) {
    LOSE_RUNS.store(run.has_fault("lost-run"), Ordering::Relaxed);
    UNANNOUNCED.store(run.has_fault("unannounced"), Ordering::Relaxed);
    CPUS.store(run.cpus, Ordering::Relaxed);
    if !run.has_fault("no-nmis") {
        pmu::call_in_bursts(queue_one);
    }
    let counters = pmu::register();
    let quiet = quiet::register();
    tick::pass_to_library(!run.has_fault("no-tick"));
    let least = if time::is_instruction_clock() { ROUNDS_BY_INSTRUCTIONS } else { ROUNDS };
    let rounds = run.cycles(least);

    time::shuffle_turns(time::SOME_PERIOD);
    smp::on_all_cpus(&|cpu| if cpu == 0 { conduct(run, rounds) } else { attend(cpu) });
    time::shuffle_turns(0);
    let all_ran = wait_until_idle(run);
    run.settle();
    report::report(run, rounds, all_ran);
    nmi::remove(quiet);
    nmi::remove(counters);
}

/// Waits until no item waits or runs anywhere, with every CPU ticking. Returns whether that came in
/// time.
fn wait_until_idle(run: &Run) -> bool {
    let are_idle = || (0..run.cpus).all(items::are_idle);
    smp::on_all_cpus(&|_| {
        idle::until_or_ms(awaited!("all items to have run"), are_idle, IDLE_LIMIT_MS);
    });
    are_idle()
}
