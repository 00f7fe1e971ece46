// SPDX-License-Identifier: MIT OR Apache-2.0
//! Idling.

use latchwork_x86::idle;

use crate::cpu::{self, area};
use crate::nmi::{NMI, reports};
use crate::waiting::{Awaited, Waiting, awaited};
use crate::{tick, time};

/// Sleeps until `done`, without a tick. The code that makes it true also raises a maskable
/// interrupt on this CPU. Threads only.
pub(crate) fn until(awaited: Awaited, done: impl FnMut() -> bool) {
    sleep_until(awaited, done, tick::stop);
    tick::start();
}

/// Sleeps until `done` or until `limit_ms` have passed, on a CPU whose tick runs. Returns whether
/// it is done. Threads only.
pub(crate) fn until_or_ms(awaited: Awaited, mut done: impl FnMut() -> bool, limit_ms: u64) -> bool {
    let start = time::now_ticks();
    let limit_ticks = limit_ms * time::ticks_per_ms();
    let is_over = || done() || time::now_ticks().saturating_sub(start) >= limit_ticks;
    sleep_until(awaited, is_over, || {});
    done()
}

/// Sleeps for `ms`, on a CPU whose tick runs. Threads only.
pub(crate) fn for_ms(ms: u64) {
    until_or_ms(awaited!("{} ms to pass", ms), || false, ms);
}

/// Calls `prepare` before each sleep.
fn sleep_until(awaited: Awaited, mut done: impl FnMut() -> bool, prepare: impl Fn()) {
    let enabled = cpu::interrupts_off();
    let waiting = Waiting::begin(awaited);
    while !done() {
        prepare();
        if tick::reach_library() {
            NMI.entering_idle();
        }
        if let Some(cpu) = area::current_cpu() {
            reports::print_queued(cpu);
        }
        // SAFETY: privilege level 0, interrupts off, no lock held, and the NMI entry fixes the
        // window up.
        unsafe { idle::wait_for_interrupt() };
    }
    drop(waiting);
    cpu::interrupts_restore(enabled);
}
