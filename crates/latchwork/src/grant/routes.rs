// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which Platform doorbells may ring a CPU.
//!
//! Rule: a grant goes to the CPUs that the ring may reach, and to no other.
//!
//! *Writers*: the holder of the writer lock, on any CPU. *Reader*: the CPU itself, with Relaxed. A
//! CPU that sees the order that names a handler sees the route with which it was registered. It may
//! see a route that changes later as it was a moment ago; the CPU that changes it owes a poll
//! afterwards.

use super::doorbell::RingTarget;
use crate::primitive::{AtomicUsize, Ordering, const_unless_loom};

/// A bit for each Platform slot.
#[derive(Debug)]
pub(crate) struct Routes(AtomicUsize);

impl Routes {
    const_unless_loom! {
        pub(super) fn new() -> Self {
            Self(AtomicUsize::new(0))
        }
    }

    pub(super) fn bits(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether the doorbell of Platform slot `slot` may ring this CPU.
    pub(crate) fn ring_target(&self, slot: usize) -> RingTarget {
        match self.bits() & bit_of(slot) {
            0 => RingTarget::OtherCpus,
            _ => RingTarget::ThisCpu,
        }
    }

    /// Sets the bit. The caller holds the writer lock.
    pub(crate) fn set(&self, slot: usize, ring: RingTarget) {
        let routes = self.bits();
        let bit = bit_of(slot);
        let routes = match ring {
            RingTarget::ThisCpu => routes | bit,
            RingTarget::OtherCpus => routes & !bit,
        };
        self.0.store(routes, Ordering::Relaxed);
    }
}

/// The bit that stands for a slot.
pub(super) const fn bit_of(slot: usize) -> usize {
    1_usize.wrapping_shl(slot as u32)
}
