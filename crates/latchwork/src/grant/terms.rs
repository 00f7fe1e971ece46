// SPDX-License-Identifier: MIT OR Apache-2.0
//! What dispatch must know of a handler's doorbell, and what a dispatch has claimed.

use crate::{
    handler::EdgeModel,
    primitive::{AtomicUsize, Ordering, const_unless_loom},
};

/// A slot's terms. Written under the writer lock: while the slot is free, or one word at a time when the
/// doorbell's model changes; read by dispatch, after the order that names the slot.
#[derive(Debug)]
pub(crate) struct Terms {
    /// The bit that stands for the doorbell. Slots behind one doorbell have the same; the software doorbell has
    /// none.
    doorbell: AtomicUsize,
    late: AtomicUsize,
}

/// An [`EdgeModel`] in one word: 0, or microseconds and edges.
const EDGES_BITS: u32 = 8;
/// 2⁵⁶ − 1 on 64-bit targets, about 16.8 s on 32-bit ones.
pub(crate) const MOST_LATE_US: usize = usize::MAX >> EDGES_BITS;

impl Terms {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self { doorbell: AtomicUsize::new(0), late: AtomicUsize::new(0) }
        }
    }

    pub(crate) fn set_doorbell(&self, bit: usize) {
        self.doorbell.store(bit, Ordering::Relaxed);
    }

    #[inline(always)]
    pub(crate) fn doorbell(&self) -> usize {
        self.doorbell.load(Ordering::Relaxed)
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
    pub(crate) fn late(&self) -> Late {
        Late(self.late.load(Ordering::Relaxed))
    }
}

/// The rings that may come after a status was consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Late(usize);

impl Late {
    /// How many, at most.
    #[inline(always)]
    pub(crate) const fn edges(self) -> usize {
        self.0 & ((1 << EDGES_BITS) - 1)
    }

    /// How late, at most; 0 where the kernel's own limit holds.
    #[inline(always)]
    pub(crate) const fn us(self) -> u32 {
        (self.0 >> EDGES_BITS) as u32
    }
}

/// What one dispatch, or one poll outside an NMI, has claimed so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Claims {
    any: bool,
    more: bool,
    sends: usize,
    /// Rings of rounds that are over, and the doorbells of the present one.
    rings_before: usize,
    doorbells: usize,
    late_edges: usize,
    late_us: u32,
}

impl Claims {
    /// `sends` software requests were taken.
    #[inline(always)]
    pub(crate) fn of_sends(sends: usize) -> Self {
        Self { any: sends != 0, sends, ..Self::default() }
    }

    /// A handler claimed. `rings_here`: its doorbell's ring comes to this CPU.
    #[inline(always)]
    pub(crate) fn add(&mut self, terms: &Terms, rings_here: bool) {
        self.any = true;
        let doorbell = terms.doorbell();
        // Claimed before, or the software doorbell, which has no bit: its sends count.
        if !rings_here || self.doorbells & doorbell == doorbell {
            return;
        }
        self.doorbells |= doorbell;
        let late = terms.late();
        self.late_edges = self.late_edges.saturating_add(late.edges());
        self.late_us = self.late_us.max(late.us());
    }

    /// The handlers are asked once more: a condition that holds again has rung again.
    pub(crate) fn next_round(&mut self) {
        let rings = self.doorbells.count_ones() as usize;
        self.rings_before = self.rings_before.saturating_add(rings);
        self.doorbells = 0;
    }

    pub(crate) fn add_more(&mut self) {
        self.more = true;
    }

    #[inline(always)]
    pub(crate) const fn any(&self) -> bool {
        self.any
    }

    /// A handler stopped before it was through.
    #[inline(always)]
    pub(crate) const fn want_more(&self) -> bool {
        self.more
    }

    /// How many doorbells rang for what was claimed; each software send is one.
    #[inline(always)]
    pub(crate) fn rings(&self) -> usize {
        let before = self.sends.saturating_add(self.rings_before);
        before.saturating_add(self.doorbells.count_ones() as usize)
    }

    /// One ring and nothing late: the edge that brought the CPU here was that ring, or another's is due
    /// for which a grant is there already.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        let one_doorbell = self.doorbells & self.doorbells.wrapping_sub(1) == 0;
        let before = self.sends.saturating_add(self.rings_before);
        let not_both = before == 0 || self.doorbells == 0;
        one_doorbell && before <= 1 && not_both && self.late_edges == 0
    }

    pub(crate) const fn late_edges(&self) -> usize {
        self.late_edges
    }

    pub(crate) const fn late_us(&self) -> u32 {
        self.late_us
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn terms(bit: usize, model: EdgeModel) -> Terms {
        let terms = Terms::new();
        terms.set_doorbell(bit);
        terms.set_model(model);
        terms
    }

    #[test]
    fn everybody_behind_one_doorbell_counts_one() {
        let counters = terms(1, EdgeModel::PerCondition);
        let trace = terms(1, EdgeModel::PerCondition);
        let mut claims = Claims::of_sends(0);
        claims.add(&counters, true);
        claims.add(&trace, true);
        assert_eq!(claims.rings(), 1);
        assert!(claims.is_plain());
        claims.add(&terms(2, EdgeModel::PerCondition), true);
        assert_eq!(claims.rings(), 2);
        assert!(!claims.is_plain());
    }

    #[test]
    fn each_send_counts_one_and_late_edges_count_once_a_doorbell() {
        let message = EdgeModel::PerEvent { late_us: 300, max_late_edges: 2 };
        let mut claims = Claims::of_sends(2);
        claims.add(&terms(4, message), true);
        claims.add(&terms(4, message), true);
        assert_eq!((claims.rings(), claims.late_edges(), claims.late_us()), (3, 2, 300));
        assert!(!claims.is_plain());
        assert!(Claims::of_sends(1).is_plain() && !Claims::of_sends(2).is_plain());
    }

    #[test]
    fn a_doorbell_that_is_claimed_in_two_rounds_has_rung_twice() {
        let line = terms(1, EdgeModel::PerCondition);
        let mut claims = Claims::of_sends(0);
        claims.add(&line, true);
        claims.next_round();
        assert!(claims.is_plain());
        claims.add(&line, true);
        assert_eq!(claims.rings(), 2);
        assert!(!claims.is_plain());
    }

    #[test]
    fn one_send_and_a_doorbell_of_the_round_before_are_two_rings() {
        let mut claims = Claims::of_sends(1);
        claims.add(&terms(1, EdgeModel::PerCondition), true);
        claims.next_round();
        assert_eq!(claims.rings(), 2);
        assert!(!claims.is_plain());
    }

    #[test]
    fn a_ring_that_goes_elsewhere_is_none_here() {
        let mut claims = Claims::of_sends(0);
        claims.add(&terms(1, EdgeModel::PerCondition), false);
        assert!(claims.any());
        assert_eq!(claims.rings(), 0);
    }
}
