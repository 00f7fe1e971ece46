// SPDX-License-Identifier: MIT OR Apache-2.0
//! The time-stamp counter: one tick a microsecond.

use crate::{engine, machine::current};

/// How many ticks make a millisecond.
pub const TICKS_PER_MS: u64 = 1_000;

/// This CPU's clock: the world's, with its own offset.
pub fn now_ticks() -> u64 {
    let machine = current();
    let cpu = machine.this_cpu();
    let now_ticks =
        machine.with(|state| state.now_us.wrapping_add(state.cpus[cpu].clock_offset_us));
    engine::observe(now_ticks);
    now_ticks
}

/// Restarts this CPU's clock, as a reset does: it reads `reading_ticks` now.
pub fn reset(reading_ticks: u64) {
    let machine = current();
    let cpu = machine.this_cpu();
    machine.change(|state| {
        state.cpus[cpu].clock_offset_us = reading_ticks.wrapping_sub(state.now_us);
    });
}
