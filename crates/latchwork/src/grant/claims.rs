// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a dispatch, or a poll, has claimed: how many rings that stands for.
//!
//! Rule: each doorbell that is claimed has rung once, whichever handlers are behind it, and once
//! more in each round in which it is claimed again. Each software send has rung once.

use super::doorbell::{RingTarget, SlotDoorbell};

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
    /// Claims of a dispatch that took `sends` software requests.
    #[inline(always)]
    pub(crate) fn of_sends(sends: usize) -> Self {
        Self { any: sends != 0, sends, ..Self::default() }
    }

    /// Adds a condition that a handler claimed, and whose ring comes to `ring`.
    #[inline(always)]
    pub(crate) fn add(&mut self, doorbell: &SlotDoorbell, ring: RingTarget) {
        self.any = true;
        let bit = doorbell.bit();
        // Claimed before, or the software doorbell, which has no bit: its sends count.
        if ring == RingTarget::OtherCpus || self.doorbells & bit == bit {
            return;
        }
        self.doorbells |= bit;
        let late = doorbell.late_rings();
        self.late_edges = self.late_edges.saturating_add(late.count());
        self.late_us = self.late_us.max(late.us());
    }

    /// Begins another round of asking the handlers: a condition that holds again has rung again.
    pub(crate) fn next_round(&mut self) {
        let rings = self.doorbells.count_ones() as usize;
        self.rings_before = self.rings_before.saturating_add(rings);
        self.doorbells = 0;
    }

    pub(crate) fn set_wants_more(&mut self) {
        self.more = true;
    }

    #[inline(always)]
    pub(crate) const fn has_any(&self) -> bool {
        self.any
    }

    /// Whether a handler stopped before it was through.
    #[inline(always)]
    pub(crate) const fn wants_more(&self) -> bool {
        self.more
    }

    /// How many doorbells rang for what was claimed; each software send is one.
    #[inline(always)]
    pub(crate) fn rings(&self) -> usize {
        let before = self.sends.saturating_add(self.rings_before);
        before.saturating_add(self.doorbells.count_ones() as usize)
    }

    /// Whether there was one ring and nothing late: the edge that brought the CPU here was that
    /// ring, or the ring of another claim is due, for which a grant is there already.
    #[inline(always)]
    pub(crate) fn is_single_ring(&self) -> bool {
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
    use crate::contract::EdgeModel;

    fn doorbell(bit: usize, model: EdgeModel) -> SlotDoorbell {
        let doorbell = SlotDoorbell::new();
        doorbell.set_bit(bit);
        doorbell.set_model(model);
        doorbell
    }

    #[test]
    fn everybody_behind_one_doorbell_counts_one() {
        let counters = doorbell(1, EdgeModel::PerCondition);
        let trace = doorbell(1, EdgeModel::PerCondition);
        let mut claims = Claims::of_sends(0);
        claims.add(&counters, RingTarget::ThisCpu);
        claims.add(&trace, RingTarget::ThisCpu);
        assert_eq!(claims.rings(), 1);
        assert!(claims.is_single_ring());
        claims.add(&doorbell(2, EdgeModel::PerCondition), RingTarget::ThisCpu);
        assert_eq!(claims.rings(), 2);
        assert!(!claims.is_single_ring());
    }

    #[test]
    fn each_send_counts_one_and_late_edges_count_once_a_doorbell() {
        let message = EdgeModel::PerEvent { late_us: 300, max_late_edges: 2 };
        let mut claims = Claims::of_sends(2);
        claims.add(&doorbell(4, message), RingTarget::ThisCpu);
        claims.add(&doorbell(4, message), RingTarget::ThisCpu);
        assert_eq!((claims.rings(), claims.late_edges(), claims.late_us()), (3, 2, 300));
        assert!(!claims.is_single_ring());
        assert!(Claims::of_sends(1).is_single_ring() && !Claims::of_sends(2).is_single_ring());
    }

    #[test]
    fn a_doorbell_that_is_claimed_in_two_rounds_has_rung_twice() {
        let line = doorbell(1, EdgeModel::PerCondition);
        let mut claims = Claims::of_sends(0);
        claims.add(&line, RingTarget::ThisCpu);
        claims.next_round();
        assert!(claims.is_single_ring());
        claims.add(&line, RingTarget::ThisCpu);
        assert_eq!(claims.rings(), 2);
        assert!(!claims.is_single_ring());
    }

    #[test]
    fn one_send_and_a_doorbell_of_the_round_before_are_two_rings() {
        let mut claims = Claims::of_sends(1);
        claims.add(&doorbell(1, EdgeModel::PerCondition), RingTarget::ThisCpu);
        claims.next_round();
        assert_eq!(claims.rings(), 2);
        assert!(!claims.is_single_ring());
    }

    #[test]
    fn a_ring_that_goes_elsewhere_is_none_here() {
        let mut claims = Claims::of_sends(0);
        claims.add(&doorbell(1, EdgeModel::PerCondition), RingTarget::OtherCpus);
        assert!(claims.has_any());
        assert_eq!(claims.rings(), 0);
    }
}
