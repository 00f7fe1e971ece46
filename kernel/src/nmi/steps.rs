// SPDX-License-Identifier: MIT OR Apache-2.0
//! A way for a scenario to act between the library's steps, and between the request and the ring of
//! a send.
//!
//! The library calls the platform at known points of a registration and a removal. On a single CPU,
//! NMIs hit *inside* them only if the scenario rings its own CPU at these points. Among several
//! CPUs under the instruction clock, CPU 0 gives its turn away there.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::cpu::{MAX_CPUS, area};
use crate::once::Once;
use crate::scenario::storm;

static WATCHED: AtomicBool = AtomicBool::new(false);

/// Makes [`step`] call the scenario, or no longer. Ordinary context.
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

/// The CPU towards which each CPU's next send is to be torn, plus one; 0 if none is. Only the
/// sender writes and reads it.
static TORN_TOWARDS: [AtomicUsize; MAX_CPUS] = [const { AtomicUsize::new(0) }; MAX_CPUS];

/// What [`before_ring`] calls in a send that is to be torn, with the CPU that is rung.
static BETWEEN: Once<fn(usize)> = Once::new();

/// Makes each torn send call `act`, which is NMI-safe, between its request and its ring. Called
/// once.
pub(crate) fn tear_sends_by(act: fn(usize)) {
    BETWEEN.set(act);
}

/// Tears the next send of `sender`, which is this CPU, to `target`. Any context.
pub(crate) fn tear_next_send(sender: usize, target: usize) {
    if let Some(torn) = TORN_TOWARDS.get(sender) {
        torn.store(target + 1, Ordering::Relaxed);
    }
}

/// Whether the next send of `sender` to some CPU is still to be torn.
pub(crate) fn is_to_tear(sender: usize) -> bool {
    TORN_TOWARDS.get(sender).is_some_and(|torn| torn.load(Ordering::Relaxed) != 0)
}

/// Tears no send of `sender`, which is this CPU. Threads.
pub(crate) fn tear_nothing(sender: usize) {
    TORN_TOWARDS[sender].store(0, Ordering::Relaxed);
}

/// This CPU has posted a request for `target`, and is about to ring. NMI-safe.
#[inline(always)]
pub(super) fn before_ring(target: usize) {
    let torn = area::current_cpu().and_then(|sender| TORN_TOWARDS.get(sender));
    let Some(torn) = torn.filter(|torn| torn.load(Ordering::Relaxed) == target + 1) else {
        return;
    };
    torn.store(0, Ordering::Relaxed);
    if let Some(act) = BETWEEN.get() {
        act(target);
    }
}
