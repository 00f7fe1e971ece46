// SPDX-License-Identifier: MIT OR Apache-2.0
//! Threads that wait for what an NMI does: busily for a moment, then asleep, and woken by the NMI's
//! handler.

use core::sync::atomic::{AtomicBool, Ordering, fence};

use crate::cpu::{MAX_CPUS, area};
use crate::waiting::Awaited;
use crate::{apic, idle, patience};

/// How long to wait busily. Not long: where CPUs share few cores, who waits keeps another from
/// running.
const SPIN_TURNS: u32 = 50;

/// Whether each CPU's thread sleeps, or is about to.
///
/// Writers: that thread, before it looks once more whether it may go on, and whoever wakes it,
/// after having done what it waits for. Each has a SeqCst fence in between, so one of them sees the
/// other's store.
static ASLEEP: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// Waits until `done`, which becomes true by the work of somebody who then calls [`wake_all`], and
/// says whether it came within ten seconds. Threads only.
pub(super) fn wait_until(awaited: Awaited, done: impl Fn() -> bool) -> bool {
    wait_until_or_ms(awaited, done, patience::LIMIT_MS)
}

/// The same with another limit.
pub(super) fn wait_until_or_ms(awaited: Awaited, done: impl Fn() -> bool, limit_ms: u64) -> bool {
    if patience::spin_until(awaited, &done, SPIN_TURNS) {
        return true;
    }
    let asleep = area::current_cpu().and_then(|cpu| ASLEEP.get(cpu));
    let done_before_sleeping = || {
        if let Some(asleep) = asleep {
            asleep.store(true, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
        done()
    };
    idle::until_or_ms(awaited, done_before_sleeping, limit_ms)
}

/// Has every thread that sleeps in [`wait_until`] look again. NMI-safe.
pub(super) fn wake_all() {
    fence(Ordering::SeqCst);
    for (cpu, asleep) in ASLEEP.iter().enumerate() {
        if asleep.load(Ordering::Relaxed) && asleep.swap(false, Ordering::Relaxed) {
            apic::send_wake(cpu);
        }
    }
}
