// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of slots, and the order of each class. Dispatch reads [`Registry::order`] and the
//! slots, and nothing else of the registry.

use super::{order::Order, slot::Slot};
use crate::{
    contract::{Class, HANDLERS_PER_CLASS},
    grant::{PlatformSlots, PublishedClaims},
    primitive::{AtomicBool, AtomicUsize, Ordering, array_of, const_unless_loom},
};

#[derive(Debug)]
pub(crate) struct Registry {
    /// One order word per class. The holder of the writer lock writes it, Release; dispatch reads
    /// it, Acquire: a dispatch that finds a slot in an order finds it filled.
    pub(super) orders: [AtomicUsize; Class::COUNT],
    pub(super) slots: [[Slot; HANDLERS_PER_CLASS]; Class::COUNT],
    /// Writers take it, with interrupts off, never in an NMI.
    pub(super) locked: AtomicBool,
    /// Registrations so far. Written and read under the writer lock.
    pub(super) registered: AtomicUsize,
}

impl Registry {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                orders: array_of![AtomicUsize::new(0); Class::COUNT],
                slots: array_of![array_of![Slot::new(); HANDLERS_PER_CLASS]; Class::COUNT],
                locked: AtomicBool::new(false),
                registered: AtomicUsize::new(0),
            }
        }
    }

    /// The order of `class`, for a CPU that has entered the read side.
    #[inline(always)]
    pub(crate) fn order(&self, class: Class) -> Order {
        let word = self.orders.get(class as usize).map_or(0, |order| order.load(Ordering::Acquire));
        Order::from_word(word)
    }

    #[inline(always)]
    pub(crate) fn slot(&self, class: Class, slot: usize) -> Option<&Slot> {
        self.slots.get(class as usize)?.get(slot)
    }

    #[inline(always)]
    pub(crate) fn slots_of(&self, class: Class) -> &[Slot] {
        self.slots.get(class as usize).map_or(&[], |slots| slots)
    }
}

impl PlatformSlots for Registry {
    fn registered(&self) -> impl Iterator<Item = usize> {
        self.order(Class::Platform)
    }

    fn published(&self, index: usize) -> Option<&PublishedClaims> {
        Some(&self.slot(Class::Platform, index)?.published)
    }
}
