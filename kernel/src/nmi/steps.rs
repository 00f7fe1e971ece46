// SPDX-License-Identifier: MIT OR Apache-2.0
//! A way for a scenario to act between the library's steps.
//!
//! The library calls the platform at known points of a registration and a removal. On a single CPU that is the only way to
//! make NMIs hit *inside* them: the scenario rings its own CPU there.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::scenario::hot_remove;

static WATCHED: AtomicBool = AtomicBool::new(false);

/// Has [`step`] call the scenario, or no longer. Ordinary context.
pub(crate) fn watch(watched: bool) {
    WATCHED.store(watched, Ordering::Relaxed);
}

/// A step of the library's, from one of the platform's methods. NMI-safe.
#[inline(always)]
pub(super) fn step() {
    if WATCHED.load(Ordering::Relaxed) {
        hot_remove::ring_between_steps();
    }
}
