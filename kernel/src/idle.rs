// SPDX-License-Identifier: MIT OR Apache-2.0
//! Idling.

use latchwork_x86::idle;

use crate::cpu::{self, area};
use crate::nmi::{NMI, reports};
use crate::{tick, time};

/// Sleeps until `done`, without a tick. Whatever makes it true also raises a maskable interrupt on this CPU. Threads only.
pub(crate) fn until(done: impl FnMut() -> bool) {
    sleep_until(done, tick::stop);
    tick::start();
}

/// Sleeps until `done` or until `limit_ms` have passed, on a CPU whose tick runs; says whether it is done. Threads only.
pub(crate) fn until_or_ms(mut done: impl FnMut() -> bool, limit_ms: u64) -> bool {
    let start = time::now_ticks();
    let limit_ticks = limit_ms * time::ticks_per_ms();
    sleep_until(|| done() || time::now_ticks().saturating_sub(start) >= limit_ticks, || {});
    done()
}

/// Calls `prepare` before each sleep.
fn sleep_until(mut done: impl FnMut() -> bool, prepare: impl Fn()) {
    let enabled = cpu::interrupts_off();
    while !done() {
        prepare();
        NMI.entering_idle();
        if let Some(cpu) = area::current_cpu() {
            reports::print_queued(cpu);
        }
        // SAFETY: privilege level 0, interrupts off, no lock held, and the NMI entry fixes the window up.
        unsafe { idle::wait_for_interrupt() };
    }
    cpu::interrupts_restore(enabled);
}
