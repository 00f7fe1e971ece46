// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handlers: a victim that comes and goes and can trap a CPU, and witnesses that stay.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use latchwork::{Claim, NmiContext, NmiHandler};

use super::super::Tally;
use super::seat::{self, Place};
use crate::waiting::{Waiting, awaited};

/// The victim is registered, or may still run.
static ALIVE: AtomicBool = AtomicBool::new(false);

/// The CPU whose next call of the victim does not return, plus one; 0 for none. Writer: CPU 0.
static TRAP: AtomicUsize = AtomicUsize::new(0);

/// Calls of the victim, and those of them after its removal.
pub(super) static CALLS: Tally = Tally::new();
pub(super) static LATE_CALLS: Tally = Tally::new();

/// Calls of any handler on a CPU that was offline.
pub(super) static CALLS_AWAY: Tally = Tally::new();

/// How often the Platform handlers were asked, in NMIs or by polls of ticks.
pub(super) static PLATFORM_ASKED: Tally = Tally::new();

/// Says that the victim may be called, or may not.
pub(super) fn set_alive(alive: bool) {
    ALIVE.store(alive, Ordering::SeqCst);
}

/// The next call of the victim on `cpu` does not return.
pub(super) fn set_trap(cpu: Option<usize>) {
    TRAP.store(cpu.map_or(0, |cpu| cpu + 1), Ordering::SeqCst);
}

/// Notes that this CPU waits to be stopped, and waits. It reads nothing, so it does not matter when
/// exactly it is stopped. It executes PAUSE; otherwise no other CPU would have a turn under the
/// deterministic clock.
pub(super) fn wait_to_be_stopped(cpu: usize) -> ! {
    if let Some(seat) = seat::get(cpu) {
        seat.set(Place::Trapped);
    }
    let waiting = Waiting::begin(awaited!("CPU 0 to stop it"));
    loop {
        core::hint::spin_loop();
        waiting.check();
    }
}

fn note_call(cpu: usize) {
    if seat::get(cpu).is_some_and(|seat| seat.is(Place::Away)) {
        CALLS_AWAY.add(1);
    }
}

/// The handler that is removed while CPUs are away.
pub(super) struct Victim;

pub(super) static VICTIM: Victim = Victim;

// SAFETY: touches atomics in statics only. Where it does not return, CPU 0 stops its CPU and tells
// the library.
unsafe impl NmiHandler for Victim {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        note_call(ctx.cpu());
        CALLS.add(1);
        if !ALIVE.load(Ordering::SeqCst) {
            LATE_CALLS.add(1);
        }
        // Not in a tick's poll, since its CPU would see an NMI on top of that.
        let may_trap = !ctx.is_outside_nmi();
        if may_trap && TRAP.load(Ordering::SeqCst).checked_sub(1) == Some(ctx.cpu()) {
            wait_to_be_stopped(ctx.cpu());
        }
        Claim::None
    }
}

/// A Local handler, which the library asks on every NMI.
pub(super) struct LocalWitness;

pub(super) static LOCAL_WITNESS: LocalWitness = LocalWitness;

// SAFETY: touches atomics in statics only.
unsafe impl NmiHandler for LocalWitness {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        note_call(ctx.cpu());
        Claim::None
    }
}

/// A Platform handler, which the library asks in each poll.
pub(super) struct PlatformWitness;

pub(super) static PLATFORM_WITNESS: PlatformWitness = PlatformWitness;

// SAFETY: touches atomics in statics only.
unsafe impl NmiHandler for PlatformWitness {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        note_call(ctx.cpu());
        PLATFORM_ASKED.add(1);
        Claim::None
    }
}
