// SPDX-License-Identifier: MIT OR Apache-2.0
//! The list of queued items: many producers, each with one swap and one store, and one consumer at
//! a time. First in, first out.
//!
//! `newest` is the item that was pushed last, null if there is none; `oldest` is the item that the
//! consumer takes next; each item has a link to the one behind it.
//!
//! # The gap
//!
//! A producer swaps itself into `newest` and then links itself behind what it found there (or into
//! `oldest`, where it found nothing). Between the two, the list is cut. The consumer takes the
//! items in front of the cut except the last of them, and stops there, whatever was pushed behind.
//! It does not wait for the producer, which may be what it interrupted.
//!
//! No item is stranded, since **each producer notifies the consuming CPU after its own link**. The
//! producer in the gap does so, too, as soon as it goes on, and that run takes all items behind its
//! own. A producer keeps interrupts off until it has linked, so only NMIs (or a hypervisor) make a
//! gap last.
//!
//! # Orderings
//!
//! *Writers*: producers in any context on any CPU: `newest` by a swap; `oldest` if that swap found
//! null; otherwise the link of the item that it found. The consumer: `oldest`, and `newest` by one
//! exchange from the last item to null. *Readers*: the same; and any CPU that asks whether the list
//! is empty.
//!
//! * A link is a Release store, paired with the consumer's Acquire load of it: it finds the item's
//!   own link set to null, and does not reset it after its successor has set it.
//! * The last item is taken by `oldest` = null and then the exchange, Release, paired with the
//!   Acquire of the producer's swap: the producer that finds null stores to `oldest` after the
//!   consumer did. If the exchange fails, a producer has come and will link itself behind the item,
//!   so no other context stores to `oldest`, and the consumer may put the item back there.
//! * An item is off the list before it runs: it may be pushed again at once. The producer that is
//!   to link itself behind an item keeps it on the list until it has: its successor is missing, and
//!   `newest` is not it.
//!
//! # One consumer at a time
//!
//! It is the CPU whose list it is, or, if that CPU is offline, another one. A CPU that wants to
//! take items adds one to `wanted`. If it found 0, it takes the items, on behalf of all CPUs that
//! come meanwhile, and goes round again until none came. So no CPU waits. What was linked before a
//! CPU came is not left behind: the addition is Release, and the exchange that finds it is Acquire.
//! If that exchange ends the work, it is Release and pairs with the next consumer's addition,
//! Acquire.
//!
//! A round ends with the item that was the newest when the round began. So an item that queues
//! itself again each time it runs does not hold the CPU.

use super::item::Work;
use crate::primitive::{AtomicPtr, AtomicUsize, Ordering, const_unless_loom};

/// The items that wait for one CPU with one urgency.
#[derive(Debug)]
pub(crate) struct WorkList {
    newest: AtomicPtr<Work>,
    oldest: AtomicPtr<Work>,
    wanted: AtomicUsize,
}

/// The one consumer of a list. It is dropped where an item unwinds, and gives the list up for all
/// CPUs that want items from it; whoever unwinds sees to what is left. AcqRel, as in the exchange
/// that ends the work.
struct Consumer<'a>(&'a AtomicUsize);

impl Drop for Consumer<'_> {
    fn drop(&mut self) {
        self.0.swap(0, Ordering::AcqRel);
    }
}

impl WorkList {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                newest: AtomicPtr::new(core::ptr::null_mut()),
                oldest: AtomicPtr::new(core::ptr::null_mut()),
                wanted: AtomicUsize::new(0),
            }
        }
    }

    /// Puts an item on the list. Any context, with interrupts off, by the context that claimed the
    /// item, which then notifies the CPU.
    pub(super) fn push(&self, item: &'static Work) {
        item.next.store(core::ptr::null_mut(), Ordering::Relaxed);
        let pushed = core::ptr::from_ref(item).cast_mut();
        let before = self.newest.swap(pushed, Ordering::AcqRel);
        // SAFETY: only items are ever pushed, and they live for ever; null is none.
        let link = match unsafe { before.as_ref() } {
            Some(before) => &before.next,
            None => &self.oldest,
        };
        link.store(pushed, Ordering::Release);
    }

    /// Whether the list is empty. An item that is being pushed may be missed, unless a fence on
    /// either side says otherwise.
    pub(crate) fn is_empty(&self) -> bool {
        self.newest.load(Ordering::Relaxed).is_null()
    }

    /// Hands each item that is on the list now to `run`, having taken it off, and stops at a gap.
    /// If another CPU is taking items from this list, that CPU does so instead.
    pub(super) fn run_all(&self, mut run: impl FnMut(&'static Work)) {
        if self.is_empty() || self.wanted.fetch_add(1, Ordering::AcqRel) != 0 {
            return;
        }
        let consumer = Consumer(&self.wanted);
        let mut wanted: usize = 1;
        loop {
            self.run_once(&mut run);
            let ended =
                self.wanted.compare_exchange(wanted, 0, Ordering::Release, Ordering::Acquire);
            match ended {
                Ok(_) => return core::mem::forget(consumer),
                Err(more) => wanted = more,
            }
        }
    }

    fn run_once(&self, run: &mut impl FnMut(&'static Work)) {
        let last = self.newest.load(Ordering::Relaxed).cast_const();
        while let Some(item) = self.take() {
            let was_last = core::ptr::eq(item, last);
            run(item);
            if was_last {
                return;
            }
        }
    }

    /// Takes the oldest item off the list. Only the one consumer calls it.
    fn take(&self) -> Option<&'static Work> {
        let first = self.oldest.load(Ordering::Acquire);
        // SAFETY: as in `push`.
        let item: &'static Work = unsafe { first.as_ref() }?;
        let mut next = item.next.load(Ordering::Acquire);
        if next.is_null() {
            let none = core::ptr::null_mut();
            self.oldest.store(none, Ordering::Relaxed);
            let emptied =
                self.newest.compare_exchange(first, none, Ordering::Release, Ordering::Relaxed);
            if emptied.is_ok() {
                return Some(item);
            }
            next = item.next.load(Ordering::Acquire);
            if next.is_null() {
                self.oldest.store(first, Ordering::Relaxed);
                return None;
            }
        }
        self.oldest.store(next, Ordering::Relaxed);
        Some(item)
    }
}
