// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a dispatch, or a poll, has claimed: how many rings that stands for.
//!
//! Rule: each doorbell that is claimed has rung once, whichever handlers are behind it, and once
//! more in each round in which it is claimed again. Each software send has rung once, or will.

use super::doorbell::{RingTarget, SlotDoorbell};

/// What one dispatch, or one poll outside an NMI, has claimed so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rings {
    here: bool,
    more: bool,
    sends: usize,
    /// Rings of rounds that are over, and the doorbells of the present one.
    rings_before: usize,
    doorbells: usize,
    /// How many of these doorbells' own rings may come as late as their late ones.
    late_doorbells: usize,
    late_edges: usize,
    late_us: u32,
}

impl Rings {
    /// Those of a dispatch that took `sends` software requests.
    #[inline(always)]
    pub(crate) fn of_sends(sends: usize) -> Self {
        Self { here: sends != 0, sends, ..Self::default() }
    }

    /// Those that NMIs on top claimed.
    pub(crate) const fn left_on_top(
        doorbells: usize,
        sends: usize,
        late_edges: usize,
        late_us: u32,
    ) -> Self {
        Self {
            here: doorbells != 0 || sends != 0 || late_edges != 0,
            more: false,
            sends,
            rings_before: doorbells,
            doorbells: 0,
            late_doorbells: 0,
            late_edges,
            late_us,
        }
    }

    /// Adds a condition that a handler claimed, and whose ring comes to `ring`.
    #[inline(always)]
    pub(crate) fn add(&mut self, doorbell: &SlotDoorbell, ring: RingTarget) {
        if ring == RingTarget::OtherCpus {
            return;
        }
        self.here = true;
        let bit = doorbell.bit();
        // Claimed before, or the software doorbell, which has no bit: its sends count.
        if self.doorbells & bit == bit {
            return;
        }
        self.doorbells |= bit;
        let late = doorbell.late_rings();
        let is_late = usize::from(late.are_any());
        self.late_doorbells = self.late_doorbells.saturating_add(is_late);
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

    /// Whether a claim was made whose ring comes to this CPU: it explains the edge.
    #[inline(always)]
    pub(crate) const fn explain_an_edge(&self) -> bool {
        self.here
    }

    /// Whether a handler stopped before it was through.
    #[inline(always)]
    pub(crate) const fn wants_more(&self) -> bool {
        self.more
    }

    pub(crate) const fn sends(&self) -> usize {
        self.sends
    }

    /// How many doorbells have rung for what was claimed, but for those whose rings come late. A
    /// handler of the software doorbell that claims without a send says that something rang.
    #[inline(always)]
    pub(crate) fn of_doorbells(&self) -> usize {
        let doorbells = self.rings_before.saturating_add(self.doorbells.count_ones() as usize);
        match doorbells {
            0 if self.sends == 0 && self.late_edges == 0 => usize::from(self.here),
            _ => doorbells.saturating_sub(self.late_doorbells),
        }
    }

    /// Whether there was one ring and nothing late, so that a CPU whose ledger is empty has nothing
    /// to add: the edge that brought it here was that ring.
    #[inline(always)]
    pub(crate) fn is_single(&self) -> bool {
        let one_doorbell = self.doorbells & self.doorbells.wrapping_sub(1) == 0;
        let before = self.sends.saturating_add(self.rings_before);
        let not_both = before == 0 || self.doorbells == 0;
        one_doorbell && before <= 1 && not_both && self.late_edges() == 0
    }

    /// How many rings may come as late as their doorbell names: its own, and those besides.
    pub(crate) const fn late_edges(&self) -> usize {
        self.late_edges.saturating_add(self.late_doorbells)
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

    fn all(rings: &Rings) -> usize {
        rings.sends() + rings.of_doorbells()
    }

    #[test]
    fn everybody_behind_one_doorbell_counts_one() {
        let counters = doorbell(1, EdgeModel::PerCondition);
        let trace = doorbell(1, EdgeModel::PerCondition);
        let mut rings = Rings::of_sends(0);
        rings.add(&counters, RingTarget::ThisCpu);
        rings.add(&trace, RingTarget::ThisCpu);
        assert_eq!(all(&rings), 1);
        assert!(rings.is_single());
        rings.add(&doorbell(2, EdgeModel::PerCondition), RingTarget::ThisCpu);
        assert_eq!(all(&rings), 2);
        assert!(!rings.is_single());
    }

    #[test]
    fn each_send_counts_one_and_late_edges_count_once_a_doorbell() {
        let message = EdgeModel::PerEvent { late_us: 300, max_late_edges: 2 };
        let mut rings = Rings::of_sends(2);
        rings.add(&doorbell(4, message), RingTarget::ThisCpu);
        rings.add(&doorbell(4, message), RingTarget::ThisCpu);
        assert_eq!((all(&rings), rings.late_edges(), rings.late_us()), (2, 3, 300));
        assert!(!rings.is_single());
        assert!(Rings::of_sends(1).is_single() && !Rings::of_sends(2).is_single());
    }

    #[test]
    fn a_doorbell_that_is_claimed_in_two_rounds_has_rung_twice() {
        let line = doorbell(1, EdgeModel::PerCondition);
        let mut rings = Rings::of_sends(0);
        rings.add(&line, RingTarget::ThisCpu);
        rings.next_round();
        assert!(rings.is_single());
        rings.add(&line, RingTarget::ThisCpu);
        assert_eq!(all(&rings), 2);
        assert!(!rings.is_single());
    }

    #[test]
    fn one_send_and_a_doorbell_of_the_round_before_are_two_rings() {
        let mut rings = Rings::of_sends(1);
        rings.add(&doorbell(1, EdgeModel::PerCondition), RingTarget::ThisCpu);
        rings.next_round();
        assert_eq!(all(&rings), 2);
        assert!(!rings.is_single());
    }

    #[test]
    fn a_ring_that_goes_elsewhere_is_none_here() {
        let mut rings = Rings::of_sends(0);
        rings.add(&doorbell(1, EdgeModel::PerCondition), RingTarget::OtherCpus);
        assert!(!rings.explain_an_edge());
        assert_eq!(all(&rings), 0);
    }
}
