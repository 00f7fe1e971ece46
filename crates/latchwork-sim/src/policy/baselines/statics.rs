// SPDX-License-Identifier: MIT OR Apache-2.0
//! The place of a kernel's `static`s, which lie at the same addresses in each execution.

use std::cell::Cell;

use crate::engine::Place;

/// What one kernel has in its `static`s, on one thread.
pub(super) struct Statics<T: 'static> {
    place: Place<T>,
    current: Cell<Option<&'static T>>,
}

impl<T> Statics<T> {
    /// Holds nothing yet.
    pub(super) fn new() -> Self {
        Self { place: Place::new(), current: Cell::new(None) }
    }

    /// Builds the `static`s anew, as the kernel boots.
    pub(super) fn boot(&self, build: impl FnOnce() -> T) {
        self.current.set(None);
        // SAFETY: the former content was reached through `current` only, by CPUs of an execution
        // that is over.
        self.current.set(Some(unsafe { self.place.rebuild(build) }));
    }

    /// The content.
    pub(super) fn get(&self) -> &'static T {
        self.current.get().expect("the policy is set up before time begins")
    }
}
