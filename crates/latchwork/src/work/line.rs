// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each CPU has of deferred work: a line of its own, which dispatch never touches.

use super::{
    item::{Urgency, Work},
    list::WorkList,
};
use crate::primitive::{AtomicBool, Counter, Ordering, const_unless_loom, fence};

/// The line that whoever queues work for this CPU stores to.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct WorkLine {
    now: WorkList,
    lazy: WorkList,
    /// Whether this CPU's tick is stopped. Written by the CPU itself, read by whoever queued a lazy
    /// item for it; see [`stop_tick`](Self::stop_tick).
    tick_is_stopped: AtomicBool,
    /// The address of the item that this CPU is running, 0 if none. Own CPU only, outside NMIs, or
    /// in NMIs that look and decide nothing by it.
    running: Counter,
}

impl WorkLine {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                now: WorkList::new(),
                lazy: WorkList::new(),
                tick_is_stopped: AtomicBool::new(false),
                running: Counter::new(0),
            }
        }
    }

    pub(super) fn list(&self, urgency: Urgency) -> &WorkList {
        match urgency {
            Urgency::Now => &self.now,
            Urgency::Lazy => &self.lazy,
        }
    }

    /// Whether something waits here, after a fence whose partner is the one in `Nmi::notify_cpu`:
    /// whoever is not seen here by then sees what this CPU stored before the fence.
    pub(crate) fn has_items(&self) -> bool {
        !self.now.is_empty() || !self.lazy.is_empty()
    }

    /// Own CPU: from here on, whoever queues a lazy item raises an interrupt. Says whether one was
    /// queued before.
    ///
    /// The fence has its partner in `Nmi::notify_cpu`, between a producer's link and its look at
    /// the flag. In the total order of the two, either this one is first, and the producer sees the
    /// flag, or the producer's is, and its item is seen here. An NMI on this CPU comes before the
    /// store, and its item is seen, or after it, and it sees the flag.
    pub(super) fn stop_tick(&self) -> bool {
        self.tick_is_stopped.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        !self.lazy.is_empty()
    }

    /// Own CPU. A producer that still sees the flag raises an interrupt for nothing.
    pub(super) fn restart_tick(&self) {
        self.tick_is_stopped.store(false, Ordering::Relaxed);
    }

    pub(crate) fn tick_is_stopped(&self) -> bool {
        self.tick_is_stopped.load(Ordering::Relaxed)
    }

    /// Own CPU, outside NMIs. Returns what it was running before, for the matching call.
    pub(super) fn set_running(&self, item: usize) -> usize {
        self.running.swap(item, Ordering::Relaxed)
    }

    /// Own CPU.
    pub(super) fn is_running(&self, item: &Work) -> bool {
        self.running.load(Ordering::Relaxed) == core::ptr::from_ref(item).addr()
    }
}
