// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CPU: its area behind GS, its stacks, its descriptor tables, and its interrupt flag.

pub(crate) mod area;
pub(crate) mod stacks;
pub(crate) mod tables;

use x86_64::instructions::interrupts;

/// The most CPUs that this kernel starts. It leaves others asleep.
pub(crate) const MAX_CPUS: usize = 8;

/// Keeps maskable interrupts out, and returns whether they were let in before. Any context.
#[inline]
pub(crate) fn interrupts_off() -> bool {
    let enabled = interrupts::are_enabled();
    if enabled {
        interrupts::disable();
    }
    enabled
}

/// Lets maskable interrupts in again if they were. Any context.
#[inline]
pub(crate) fn interrupts_restore(enabled: bool) {
    if enabled {
        interrupts::enable();
    }
}

/// Stops this CPU for good. Any context; NMIs are still taken.
pub(crate) fn park() -> ! {
    interrupts::disable();
    loop {
        x86_64::instructions::hlt();
    }
}
