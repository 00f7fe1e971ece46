// SPDX-License-Identifier: MIT OR Apache-2.0
//! Threads that wait for what an NMI does: busily for a moment, then asleep, until the NMI's
//! handler wakes them.

use core::sync::atomic::{AtomicBool, Ordering, fence};

use crate::cpu::{MAX_CPUS, area};
use crate::waiting::Awaited;
use crate::{apic, idle, patience};

/// How long to wait busily. Not long: where CPUs share few cores, a waiting CPU keeps another from
/// running.
const SPIN_TURNS: u32 = 50;

/// Whether each CPU's thread sleeps, or is about to.
///
/// Writers: that thread, before it checks once more whether it may go on, and the code that wakes
/// it, after it has done what the thread waits for. Each has a SeqCst fence in between, so one of
/// them sees the other's store.
static ASLEEP: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// Waits until `done`, and returns whether it came within ten seconds. The code that makes it true
/// then calls [`wake_all`]. Threads only.
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

/// Makes every thread that sleeps in [`wait_until`] check again. NMI-safe.
pub(super) fn wake_all() {
    fence(Ordering::SeqCst);
    for (cpu, asleep) in ASLEEP.iter().enumerate() {
        if asleep.load(Ordering::Relaxed) && asleep.swap(false, Ordering::Relaxed) {
            apic::send_wake(cpu);
        }
    }
}
