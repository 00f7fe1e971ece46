// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where one world after another is built.

use std::cell::UnsafeCell;

/// A place of fixed address, in which each execution's world is built.
///
/// Fingerprints take in the addresses of simulated words and the pointers in them, so a world must
/// lie at the same addresses in each execution. And the contents of a kernel's `static`s must be
/// `&'static` here.
#[derive(Debug)]
pub struct Place<T: 'static>(&'static UnsafeCell<Option<T>>);

impl<T> Place<T> {
    /// Allocates an empty place, which nobody ever frees.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it leaks, so it is not made in passing")]
    pub fn new() -> Self {
        Self(Box::leak(Box::new(UnsafeCell::new(None))))
    }

    /// Drops what was built here before and builds the next.
    ///
    /// The former execution may have been cut short anywhere, so what waits in its `Drop`, as a
    /// registration does, belongs in `ManuallyDrop`.
    ///
    /// # Safety
    ///
    /// No reference to what was built here before is used again. Within a world factory of the
    /// searches this is so for whatever only the former world and the CPUs running in it refer to:
    /// that execution is over, and its CPUs are never resumed.
    pub unsafe fn rebuild(&self, build: impl FnOnce() -> T) -> &'static T {
        let place = self.0.get();
        // SAFETY: by the caller's promise nobody else refers to the content, and
        // `&'static UnsafeCell` is valid for writes.
        let content = unsafe { &mut *place };
        *content = None;
        content.insert(build())
    }
}
