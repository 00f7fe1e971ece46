// SPDX-License-Identifier: MIT OR Apache-2.0
//! A way for a scenario to act between the library's steps.
//!
//! The library calls the platform at known points of a registration and a removal. On a single CPU that is the only way to
//! make NMIs hit *inside* them: the scenario rings its own CPU there. Among several CPUs under the instruction clock, CPU 0 gives
//! its turn away there.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::scenario::storm;

static WATCHED: AtomicBool = AtomicBool::new(false);

/// Has [`step`] call the scenario, or no longer. Ordinary context.
pub(crate) fn watch(watched: bool) {
    WATCHED.store(watched, Ordering::Relaxed);
}

/// A step of the library's, from one of the platform's methods. NMI-safe.
#[inline(always)]
pub(super) fn step() {
    if WATCHED.load(Ordering::Relaxed) {
        storm::between_steps();
    }
}
