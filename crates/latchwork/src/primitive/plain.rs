// SPDX-License-Identifier: MIT OR Apache-2.0
//! The backend of an adopting kernel: `core`, and nothing in between.

pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, fence};

/// A word that only its own CPU touches, in NMIs too.
pub(crate) use core::sync::atomic::AtomicUsize as OwnWord;

/// A full fence that directly follows a read-modify-write on the same CPU.
///
/// On x86 the locked instruction has already drained the store buffer (SDM Vol. 3A, "Memory
/// Ordering": locked instructions have a total order, and reads and writes are not reordered with
/// them), so only the compiler is left to hold back. Everywhere else it is a real fence.
#[inline(always)]
pub(crate) fn fence_after_rmw() {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    fence(core::sync::atomic::Ordering::SeqCst);
}

/// A cell whose users say, at each access, which protocol keeps it theirs.
#[derive(Debug)]
pub(crate) struct SharedCell<T>(core::cell::UnsafeCell<T>);

impl<T> SharedCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}
