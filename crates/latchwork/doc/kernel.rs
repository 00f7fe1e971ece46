// SPDX-License-Identifier: MIT OR Apache-2.0
// A kernel of one CPU on a host, for the examples in the documentation, which include this file.

use latchwork::*;

/// Its services.
pub struct Kernel;

// SAFETY: there is one CPU, on which interrupts are never on, so its number does not change and no
// interrupt comes; nothing here locks, allocates or blocks; `fatal` does not return.
unsafe impl Platform for Kernel {
    fn current_cpu(&self) -> Option<usize> {
        Some(0)
    }
    fn now_ticks(&self) -> u64 {
        0
    }
    fn ticks_per_ms(&self) -> u64 {
        1_000
    }
    fn ring(&self, _: usize) -> Result<(), RingError> {
        Ok(())
    }
    fn disable_interrupts(&self) -> InterruptState {
        InterruptState(0)
    }
    unsafe fn restore_interrupts(&self, _: InterruptState) {}
    fn interrupt_for_work(&self, _: usize) {}
    fn interrupts_are_on(&self) -> bool {
        false
    }
    fn restart_tick(&self) {}
    fn report_unknown(&self, _: &UnknownNmi) {}
    fn after_leave(&self, _: &NmiContext<'_>, _: AfterLeave) {}
    fn fatal(&self, _: Fatal) -> ! {
        std::process::abort()
    }
}

/// What its entry code hands to [`Nmi::dispatch`].
pub fn interrupted() -> Interrupted {
    let frame = core::ptr::NonNull::dangling().as_ptr();
    Interrupted { ip: 0, sp: 0, fp: 0, mode: Mode::Kernel, frame, sources: None }
}
