// SPDX-License-Identifier: MIT OR Apache-2.0
//! What dispatch must know of a slot's doorbell: which it is, and what its edges are like.
//!
//! Rule: slots behind one doorbell have the same bit and the same edge model.

use crate::{
    contract::EdgeModel,
    primitive::{AtomicUsize, Ordering, const_unless_loom},
};

/// Where the ring of a claimed condition goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RingTarget {
    ThisCpu,
    OtherCpus,
}

/// A slot's doorbell. Writers store it under the writer lock: while the slot is free, or one word
/// at a time when the doorbell's model changes. Dispatch reads it, after the order that names the
/// slot.
#[derive(Debug)]
pub(crate) struct SlotDoorbell {
    /// The bit that stands for the doorbell. Slots behind one doorbell have the same; the software
    /// doorbell has none.
    bit: AtomicUsize,
    late: AtomicUsize,
}

/// An [`EdgeModel`] in one word: 0, or microseconds and edges.
const EDGES_BITS: u32 = 8;

/// How late a doorbell's rings may come at most, where grants end after `cap_us`. On 32-bit targets
/// the word has room for about 16.8 s.
pub(crate) const fn most_late_us(cap_us: u32) -> u32 {
    const ROOM: u64 = (usize::MAX >> EDGES_BITS) as u64;
    if cap_us as u64 > ROOM { ROOM as u32 } else { cap_us }
}

impl SlotDoorbell {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self { bit: AtomicUsize::new(0), late: AtomicUsize::new(0) }
        }
    }

    pub(crate) fn set_bit(&self, bit: usize) {
        self.bit.store(bit, Ordering::Relaxed);
    }

    #[inline(always)]
    pub(crate) fn bit(&self) -> usize {
        self.bit.load(Ordering::Relaxed)
    }

    pub(crate) fn set_model(&self, model: EdgeModel) {
        let word = match model {
            EdgeModel::PerCondition => 0,
            EdgeModel::PerEvent { late_us, max_late_edges } => {
                (late_us as usize) << EDGES_BITS | usize::from(max_late_edges)
            }
        };
        self.late.store(word, Ordering::Relaxed);
    }

    #[inline(always)]
    pub(crate) fn late_rings(&self) -> LateRings {
        LateRings(self.late.load(Ordering::Relaxed))
    }

    /// How many rings may come, to each CPU on the route, for a condition that no edge led to.
    pub(crate) fn rings_of_a_claim(&self) -> usize {
        self.late_rings().count().saturating_add(1)
    }
}

/// The rings that may come after a status was consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LateRings(usize);

impl LateRings {
    /// How many, at most.
    #[inline(always)]
    pub(crate) const fn count(self) -> usize {
        self.0 & ((1 << EDGES_BITS) - 1)
    }

    /// Whether the doorbell's own ring may come late, too.
    #[inline(always)]
    pub(crate) const fn are_any(self) -> bool {
        self.0 != 0
    }

    /// How late, at most; 0 where the kernel's own limit holds.
    #[inline(always)]
    pub(crate) const fn us(self) -> u32 {
        (self.0 >> EDGES_BITS) as u32
    }
}
