// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which Platform doorbells may ring a CPU.
//!
//! Rule: a ring goes into the ledgers of the CPUs that it may reach, and into no other.
//!
//! A route may be narrowed while a ring is under way, and a slot may get another handler with
//! another route. So a CPU that leaves a route stays on it, as a *former* one, until each ring of
//! before has reached its CPU.
//!
//! *Writers*: the holder of the writer lock, on any CPU. *Reader*: the CPU itself, with Relaxed. A
//! CPU that sees the order that names a handler sees the route with which it was registered. It may
//! see a route that changes later as it was a moment ago; the CPU that changes it owes a poll
//! afterwards.

use super::doorbell::RingTarget;
use crate::{
    primitive::{AtomicUsize, Ordering, const_unless_loom},
    time::Timestamp,
};

/// A bit for each Platform slot.
#[derive(Debug)]
pub(crate) struct Routes {
    present: AtomicUsize,
    former: AtomicUsize,
    /// The low part of the moment until which the former ones count.
    former_until: AtomicUsize,
}

impl Routes {
    const_unless_loom! {
        pub(super) fn new() -> Self {
            Self {
                present: AtomicUsize::new(0),
                former: AtomicUsize::new(0),
                former_until: AtomicUsize::new(0),
            }
        }
    }

    /// The doorbells whose rings may come to this CPU, that of a claim made at `then` among them.
    pub(super) fn at(&self, then: Timestamp) -> usize {
        self.present.load(Ordering::Relaxed) | self.former_at(then)
    }

    fn former_at(&self, then: Timestamp) -> usize {
        match self.former.load(Ordering::Relaxed) {
            0 => 0,
            _ if self.former_until(then).is_before(then) => 0,
            former => former,
        }
    }

    fn former_until(&self, near: Timestamp) -> Timestamp {
        near.nearest_of(self.former_until.load(Ordering::Relaxed))
    }

    /// Where the ring of a claim goes that was made at `then`, behind the doorbell of Platform slot
    /// `slot`.
    pub(crate) fn ring_target(&self, slot: usize, then: Timestamp) -> RingTarget {
        match self.at(then) & bit_of(slot) {
            0 => RingTarget::OtherCpus,
            _ => RingTarget::ThisCpu,
        }
    }

    /// Sets the bit. The caller holds the writer lock. A doorbell that does not ring this CPU from
    /// `now` on may have rung it before, and that ring come until `until`.
    pub(crate) fn set(&self, slot: usize, ring: RingTarget, now: Timestamp, until: Timestamp) {
        let (present, bit) = (self.present.load(Ordering::Relaxed), bit_of(slot));
        match ring {
            RingTarget::ThisCpu => self.present.store(present | bit, Ordering::Relaxed),
            RingTarget::OtherCpus => {
                let leaves = present & bit;
                if leaves != 0 {
                    let former = self.former_at(now) | leaves;
                    self.former_until.store(until.word(), Ordering::Relaxed);
                    self.former.store(former, Ordering::Relaxed);
                }
                self.present.store(present & !bit, Ordering::Relaxed);
            }
        }
    }
}

/// The bit that stands for a slot.
pub(super) const fn bit_of(slot: usize) -> usize {
    1_usize.wrapping_shl(slot as u32)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_that_leaves_a_route_stays_until_the_last_ring_has_come() {
        let routes = Routes::new();
        let at = Timestamp::from_ticks;
        routes.set(3, RingTarget::OtherCpus, at(5), at(15));
        assert_eq!(routes.at(at(5)), 0, "it was not on it");
        routes.set(3, RingTarget::ThisCpu, at(10), at(20));
        routes.set(3, RingTarget::OtherCpus, at(20), at(30));
        assert_eq!(routes.ring_target(3, at(31)), RingTarget::OtherCpus);
        assert_eq!((routes.at(at(30)), routes.at(at(31))), (bit_of(3), 0));
        routes.set(4, RingTarget::ThisCpu, at(40), at(50));
        routes.set(4, RingTarget::OtherCpus, at(50), at(60));
        assert_eq!(routes.at(at(55)), bit_of(4), "the former one of long ago is gone");
    }
}
