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

/// Hands a value from one context to another, NMIs included, without a lock.
pub struct Handover<T> {
    state: core::sync::atomic::AtomicUsize,
    value: core::cell::UnsafeCell<Option<T>>,
}

const EMPTY: usize = 0;
const BUSY: usize = 1;
const FULL: usize = 2;

// SAFETY: whoever makes the state BUSY has the value to itself until it stores another state.
unsafe impl<T: Send> Sync for Handover<T> {}

impl<T> Handover<T> {
    pub const fn new() -> Self {
        let state = core::sync::atomic::AtomicUsize::new(EMPTY);
        Self { state, value: core::cell::UnsafeCell::new(None) }
    }

    /// Leaves `value` for a [`take`](Self::take); drops it if there is another one.
    pub fn put(&self, value: T) {
        self.change(EMPTY, FULL, Some(value));
    }

    pub fn take(&self) -> Option<T> {
        self.change(FULL, EMPTY, None)
    }

    fn change(&self, from: usize, to: usize, value: Option<T>) -> Option<T> {
        use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
        self.state.compare_exchange(from, BUSY, Acquire, Relaxed).ok()?;
        // SAFETY: this call made the state BUSY.
        let before = unsafe { core::mem::replace(&mut *self.value.get(), value) };
        self.state.store(to, Release);
        before
    }
}
