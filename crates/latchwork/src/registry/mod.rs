// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registry: who is asked, in which order, and how handlers come and go.
//!
//! `write` holds what needs the writer lock, `terms` what dispatch knows of doorbells, `remove` the ways
//! out. Dispatch reads [`Registry::order`] and the slots and nothing else.

mod remove;
mod terms;
mod write;

pub(crate) use remove::{give_up, remove, try_remove};
pub(crate) use terms::{set_boot_cpu, set_delivery, set_edge_model, set_limits};
pub(crate) use write::{reclaim, register};

use crate::{
    handler::Class,
    order::{HANDLERS_PER_CLASS, Order},
    primitive::{AtomicBool, AtomicUsize, Ordering, array_of, const_unless_loom},
    slot::Slot,
    subsystem::SubsystemId,
};

/// Names one registration, for as long as it lasts; afterwards it is stale, and says so. It stays
/// unique however often a slot is used again, and among all [`Nmi`](crate::Nmi)s: to another than
/// the one that made it, it is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HandlerId {
    pub(crate) subsystem: SubsystemId,
    pub(crate) class: Class,
    pub(crate) slot: usize,
    pub(crate) generation: usize,
}

#[derive(Debug)]
pub(crate) struct Registry {
    /// One order word a class. Written by the holder of the writer lock, Release; read by dispatch,
    /// Acquire: who finds a slot in an order finds it filled.
    orders: [AtomicUsize; Class::COUNT],
    slots: [[Slot; HANDLERS_PER_CLASS]; Class::COUNT],
    /// Taken by writers, with interrupts off, never in NMI.
    locked: AtomicBool,
    /// Registrations so far. Under the writer lock.
    registered: AtomicUsize,
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
