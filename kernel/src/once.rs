// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values that become known while the kernel runs, for NMI handlers, which are statics, to read.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// A value that is set once.
#[derive(Debug)]
pub(crate) struct Once<T> {
    value: UnsafeCell<Option<T>>,
    /// Writer: [`Self::set`], Release after the value. Readers: anyone, Acquire.
    is_set: AtomicBool,
}

// SAFETY: the value is written before `is_set` becomes true, and only read after. Readers get
// copies, which may be used by any CPU.
unsafe impl<T: Copy + Send> Sync for Once<T> {}

impl<T: Copy> Once<T> {
    /// Not set yet.
    pub(crate) const fn new() -> Self {
        Self { value: UnsafeCell::new(None), is_set: AtomicBool::new(false) }
    }

    /// Sets the value. Boot CPU, ordinary context, once.
    pub(crate) fn set(&self, value: T) {
        assert!(!self.is_set.load(Ordering::Relaxed), "a value is set for the second time");
        // SAFETY: nobody reads before `is_set` is true, and only the boot CPU writes.
        unsafe { *self.value.get() = Some(value) };
        self.is_set.store(true, Ordering::Release);
    }

    /// The value, if it is set. NMI-safe.
    pub(crate) fn get(&self) -> Option<T> {
        if !self.is_set.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: the value was written before, and is not written again.
        unsafe { *self.value.get() }
    }
}
