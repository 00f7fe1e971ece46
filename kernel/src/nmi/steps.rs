// SPDX-License-Identifier: MIT OR Apache-2.0
//! A way for a scenario to act between the library's steps.
//!
//! The library calls the platform at known points of a registration and a removal. On a single CPU that is the only way to
//! make NMIs hit *inside* them: the scenario rings its own CPU there. Among several CPUs under the instruction clock, CPU 0 gives
//! its turn away there.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::cpu::{MAX_CPUS, area};
use crate::scenario::{shared_source, storm};

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

/// CPUs that let an NMI come between the request and the ring of the next send to themselves. Own CPU.
static TORN: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// Has [`before_ring`] call the scenario in this CPU's next send to itself. Threads.
pub(crate) fn tear_next_send(cpu: usize) {
    TORN[cpu].store(true, Ordering::Relaxed);
}

/// This CPU has posted a request for `target`, and is about to ring. NMI-safe.
#[inline(always)]
pub(super) fn before_ring(target: usize) {
    let Some(torn) = TORN.get(target) else {
        return;
    };
    if torn.load(Ordering::Relaxed) && area::current_cpu() == Some(target) {
        torn.store(false, Ordering::Relaxed);
        shared_source::between_request_and_ring(target);
    }
}
