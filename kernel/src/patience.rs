// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waits that give up.

use crate::{idle, time};

/// Turns of a busy wait between two looks at the clock.
const TURNS_A_LOOK: u32 = 200;

/// How long a CPU may take to start.
const START_LIMIT_MS: u64 = 5_000;

/// How long to wait for what takes microseconds where every CPU has a core to itself, and may take long where eight share two.
pub(crate) const LIMIT_MS: u64 = 10_000;

/// Spins until `done`. Each turn hints PAUSE, at which the deterministic clock's host goes on to the next CPU. Gives up after
/// `turns` turns; says whether it is done. Any context.
pub(crate) fn spin_until(mut done: impl FnMut() -> bool, turns: u32) -> bool {
    for _ in 0..turns {
        if done() {
            return true;
        }
        core::hint::spin_loop();
    }
    done()
}

/// Passes the time between two looks of a CPU that waits for another with interrupts off or in an NMI: executes instructions for
/// `us`, by which the deterministic clock goes on, and then gives this CPU's turn away. Any context.
pub(crate) fn between_looks_us(us: u64) {
    time::delay_us(us);
    core::hint::spin_loop();
}

/// Sleeps until `done`, and says whether it came within ten seconds. What makes it true had better raise an interrupt here, else
/// the next tick finds it. Threads only.
pub(crate) fn sleep_until(done: impl FnMut() -> bool) -> bool {
    idle::until_or_ms(done, LIMIT_MS)
}

/// Waits until `done`, without sleeping, and says whether it came within five seconds: for a CPU whose tick does not come yet.
pub(crate) fn busy_wait_until(mut done: impl FnMut() -> bool) -> bool {
    let start_ticks = time::now_ticks();
    while !spin_until(&mut done, TURNS_A_LOOK) {
        if time::now_ticks().saturating_sub(start_ticks) > START_LIMIT_MS * time::ticks_per_ms() {
            return done();
        }
        time::delay_us(100);
    }
    true
}
