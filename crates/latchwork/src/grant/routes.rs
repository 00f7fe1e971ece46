// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which Platform doorbells may ring a CPU.
//!
//! Rule: a grant goes to the CPUs that the ring may reach, and to no other.
//!
//! *Writers*: the holder of the writer lock, on any CPU. *Reader*: the CPU itself, with Relaxed.
//! The route of a handler that is being registered is seen by whoever sees the order that names it.
//! One that changes later may be seen as it was a moment ago; whoever changes it owes a poll
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

    /// Under the writer lock.
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
