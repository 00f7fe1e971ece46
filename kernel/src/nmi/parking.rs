// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPUs that were asked to stop, and park inside their NMI until they are released.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::cpu::MAX_CPUS;
use crate::patience;
use crate::waiting::{Waiting, awaited};

/// How often a parked CPU checks whether it is released.
const LOOK_EVERY_US: u64 = 10;

/// Counts releases. Writer: one thread at a time. Readers: parked CPUs, Acquire.
static RELEASES: AtomicU64 = AtomicU64::new(0);

/// Whether each CPU is parked. Written by that CPU in NMI: Release, after it has read the number
/// above.
static PARKED: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// Parks this CPU, `cpu`, until [`release`]. In NMI, outside the library's read side.
pub(super) fn park(cpu: usize) {
    let Some(parked) = PARKED.get(cpu) else {
        return;
    };
    let before = RELEASES.load(Ordering::Acquire);
    parked.store(true, Ordering::Release);
    let waiting = Waiting::begin(awaited!("its release: it is parked in an NMI"));
    while RELEASES.load(Ordering::Acquire) == before {
        patience::between_looks_us(LOOK_EVERY_US);
        waiting.check();
    }
    drop(waiting);
    parked.store(false, Ordering::Release);
}

/// Whether `cpu` is parked. Any context.
pub(crate) fn is_parked(cpu: usize) -> bool {
    PARKED.get(cpu).is_some_and(|parked| parked.load(Ordering::Acquire))
}

/// Releases all parked CPUs. Threads, one at a time.
pub(crate) fn release() {
    RELEASES.fetch_add(1, Ordering::Release);
}
