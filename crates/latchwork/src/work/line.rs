// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CPU's lists of deferred work, on a cache line of their own that dispatch never touches.

use super::{
    item::{Urgency, Work},
    list::WorkList,
};
use crate::primitive::{AtomicBool, Counter, Ordering, const_unless_loom, fence};

/// The line to which contexts that queue work for this CPU store.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct WorkLine {
    now: WorkList,
    lazy: WorkList,
    /// Whether this CPU's tick is stopped. The CPU itself writes it; a context that has queued a
    /// lazy item for it reads it; see [`stop_tick`](Self::stop_tick).
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

    /// Whether an item waits here. The caller executes a fence before, whose partner is the one in
    /// `Nmi::notify_cpu`: a producer whose item is not seen here sees what this CPU stored before
    /// the fence.
    pub(crate) fn has_items(&self) -> bool {
        !self.now.is_empty() || !self.lazy.is_empty()
    }

    /// Own CPU: from here on, a producer of a lazy item raises an interrupt. Returns whether an
    /// item was queued before.
    ///
    /// The fence has its partner in `Nmi::notify_cpu`, between a producer's link and its look at
    /// the flag. If this fence is first in the total order of the two, the producer sees the flag;
    /// if the producer's is first, this CPU sees the item here. An NMI on this CPU comes before the
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

    /// Own CPU, outside NMIs. Items do not nest.
    pub(super) fn set_running(&self, item: Option<&Work>) {
        let address = item.map_or(0, |item| core::ptr::from_ref(item).addr());
        self.running.store(address, Ordering::Relaxed);
    }

    /// Own CPU.
    pub(super) fn is_running_any(&self) -> bool {
        self.running.load(Ordering::Relaxed) != 0
    }

    /// Own CPU.
    pub(super) fn is_running(&self, item: &Work) -> bool {
        self.running.load(Ordering::Relaxed) == core::ptr::from_ref(item).addr()
    }
}
