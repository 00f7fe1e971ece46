// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waits. Each waits for something that has a name ([`crate::waiting`]), and most have a limit.

use crate::waiting::{Awaited, Waiting};
use crate::{idle, time};

/// Turns of a busy wait between two looks at the clock.
const TURNS_A_LOOK: u32 = 200;

/// How long a CPU may take to start.
const START_LIMIT_MS: u64 = 5_000;

/// How long to wait for something that takes microseconds where every CPU has a core to itself, and
/// may take long where eight CPUs share two cores.
pub(crate) const LIMIT_MS: u64 = 10_000;

/// Spins until `done`. Each turn executes PAUSE, at which QEMU under the deterministic clock goes
/// on to the next CPU. Gives up after `turns` turns. Returns whether it is done. Any context.
pub(crate) fn spin_until(awaited: Awaited, mut done: impl FnMut() -> bool, turns: u32) -> bool {
    if turns == 0 || done() {
        return done();
    }
    let _waiting = Waiting::begin(awaited);
    for _ in 0..turns {
        core::hint::spin_loop();
        if done() {
            return true;
        }
    }
    false
}

/// Spins until `done`, and returns whether it came within `limit_ms`. Any context.
pub(crate) fn spin_until_or_ms(
    awaited: Awaited,
    mut done: impl FnMut() -> bool,
    limit_ms: u64,
) -> bool {
    let start_ticks = time::now_ticks();
    while !spin_until(awaited, &mut done, TURNS_A_LOOK) {
        if time::now_ticks().saturating_sub(start_ticks) > limit_ms * time::ticks_per_ms() {
            return done();
        }
    }
    true
}

/// Spins until `done`, and ends the kernel if that takes for ever. Any context.
pub(crate) fn spin(awaited: Awaited, mut done: impl FnMut() -> bool) {
    if done() {
        return;
    }
    let waiting = Waiting::begin(awaited);
    for turn in 1_u64.. {
        core::hint::spin_loop();
        if done() {
            return;
        }
        if turn % u64::from(TURNS_A_LOOK) == 0 {
            waiting.check();
        }
    }
}

/// Passes the time between two looks of a CPU that waits for another with interrupts off or in an
/// NMI. It executes instructions for `us`, which drive the deterministic clock, and then gives this
/// CPU's turn away. Any context.
pub(crate) fn between_looks_us(us: u64) {
    time::delay_us(us);
    core::hint::spin_loop();
}

/// Sleeps until `done`, and returns whether it came within ten seconds. The code that makes it true
/// should raise an interrupt here; otherwise the next tick finds it. Threads only.
pub(crate) fn sleep_until(awaited: Awaited, done: impl FnMut() -> bool) -> bool {
    idle::until_or_ms(awaited, done, LIMIT_MS)
}

/// Waits until `done`, without sleeping, and returns whether it came within five seconds: for a CPU
/// whose tick does not come yet.
pub(crate) fn busy_wait_until(awaited: Awaited, mut done: impl FnMut() -> bool) -> bool {
    let start_ticks = time::now_ticks();
    while !spin_until(awaited, &mut done, TURNS_A_LOOK) {
        if time::now_ticks().saturating_sub(start_ticks) > START_LIMIT_MS * time::ticks_per_ms() {
            return done();
        }
        time::delay_us(100);
    }
    true
}
