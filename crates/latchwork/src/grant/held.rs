// SPDX-License-Identifier: MIT OR Apache-2.0
//! The grants of a ledger in one step of its CPU: a private copy, in which the step adds and takes
//! as many rings as it likes before the ledger keeps it.
//!
//! Rule: a step reads each entry once, and writes each entry once at most. So what it costs does
//! not grow with the claims and edges that it is about.

use super::entry::{Due, Grant, Taken};
use crate::time::{InTicks, Timestamp};

/// More than there are [dues](Due) that are not alike: so two grants can always be made one.
pub(super) const ENTRIES: usize = 6;

/// A copy of a ledger's grants, by their entries.
#[derive(Debug)]
pub(super) struct Held {
    grants: [Option<Grant>; ENTRIES],
    /// The entries that hold something else in the ledger, a bit for each.
    changed: usize,
    /// When the CPU last left an NMI.
    left: Timestamp,
    /// Of the rings that edges took in this step, the due of the one that is due latest.
    taken: Option<Due>,
}

/// What bounds the dues of rings from below that a CPU adds only now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floor {
    /// By when the ring of the CPU's own last claim is due.
    pub(super) own: Option<Timestamp>,
    /// The latest due of those that edges took.
    pub(super) taken: Option<Due>,
}

impl Floor {
    /// Until when a ring may come that this CPU adds only now, and that is due by `deadline`.
    ///
    /// An edge that this CPU took before may have been this ring. Then what that edge took instead
    /// is still to come: the ring of the CPU's own last claim, or one that it took from the ledger.
    pub(super) fn due_if_late(self, deadline: Timestamp) -> Due {
        let due = Due::By(self.own.map_or(deadline, |own| own.later_of(deadline)));
        self.taken.map_or(due, |taken| due.later_of(taken))
    }
}

impl Held {
    /// What `read` finds in each entry.
    pub(super) fn of(left: Timestamp, read: impl FnMut(usize) -> Option<Grant>) -> Self {
        Self { grants: core::array::from_fn(read), changed: 0, left, taken: None }
    }

    /// The entries that hold a grant, a bit for each.
    pub(super) fn in_use(&self) -> usize {
        self.iter().fold(0, |bits, (place, _)| bits | bit_of(place))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, Grant)> {
        self.grants.iter().enumerate().filter_map(|(place, grant)| Some((place, (*grant)?)))
    }

    /// The grants that the ledger has to store.
    pub(super) fn changed(&self) -> impl Iterator<Item = (usize, Grant)> {
        self.iter().filter(|(place, _)| self.changed & bit_of(*place) != 0)
    }

    pub(super) fn has_changed(&self) -> bool {
        self.changed != 0
    }

    /// Whether some grant explains an edge.
    pub(super) fn explain_an_edge(&self) -> bool {
        self.iter().any(|(_, grant)| grant.due.explains())
    }

    /// The grant that is due earliest, of those that `may_be`.
    fn earliest(&self, may_be: impl Fn(Due) -> bool) -> Option<(usize, Grant)> {
        self.iter()
            .filter(|(_, grant)| may_be(grant.due))
            .reduce(|so_far, next| if next.1.due.is_before(so_far.1.due) { next } else { so_far })
    }

    /// Sets what this place holds.
    pub(super) fn set(&mut self, place: usize, grant: Option<Grant>) {
        if let Some(held) = self.grants.get_mut(place) {
            *held = grant;
            self.changed |= bit_of(place);
        }
    }

    /// Gives each grant the due that `change` says, if any.
    pub(super) fn change_dues(&mut self, change: impl Fn(Due) -> Option<Due>) {
        for place in 0..ENTRIES {
            let grant = self.grants.get(place).copied().flatten();
            if let Some((grant, due)) = grant.and_then(|it| Some((it, change(it.due)?))) {
                self.set(place, Some(Grant { due, ..grant }));
            }
        }
    }

    /// Drops the grants of which `is_over` says so.
    pub(super) fn drop_where(&mut self, is_over: impl Fn(&Grant) -> bool) {
        for place in 0..ENTRIES {
            if self.grants.get(place).is_some_and(|it| it.as_ref().is_some_and(&is_over)) {
                self.set(place, None);
            }
        }
    }

    /// Drops the rings that the cap has ended for an edge which `arrived` then.
    pub(super) fn drop_what_the_cap_ends(&mut self, arrived: Timestamp, limits: InTicks<'_>) {
        let left = self.left;
        self.drop_where(|grant| is_beyond_cap(grant.due, left, arrived, limits));
    }

    /// Adds rings that may still come: to the same grant, or in a free place, or else to a grant
    /// that is alike.
    pub(super) fn add(&mut self, grant: Grant) {
        if grant.rings == 0 {
            return;
        }
        let is_same = |it: &Grant| it.kind == grant.kind && it.due == grant.due;
        let place = self.find(is_same).or_else(|| self.free_place());
        let place = place.or_else(|| self.find(|it| it.due.is_like(grant.due)));
        if let Some(place) = place.or_else(|| self.join_two()) {
            let before = self.grants.get(place).copied().flatten();
            self.set(place, Some(before.map_or(grant, |it| joined(it, grant))));
        }
    }

    /// Takes rings away: this CPU took so many edges, which `arrived` and were `seen` then. Each
    /// takes the ring that is due earliest. Returns how many were taken; fewer, if there is no ring
    /// that one more of the edges may have been.
    ///
    /// An edge that waited cannot have been the ring of a claim made long after it was seen, nor
    /// one that came while an older one waits that of a claim made long before. Such a ring is
    /// left.
    pub(super) fn take(
        &mut self,
        edges: usize,
        arrived: Timestamp,
        seen: Timestamp,
        limits: InTicks<'_>,
    ) -> Taken {
        let left = self.left;
        let may_be = |due: Due| {
            due.explains()
                && !is_far_ahead(due, seen, limits)
                && !is_beyond_cap(due, left, arrived, limits)
        };
        let mut taken = Taken::default();
        while taken.all() < edges {
            let Some((place, grant)) = self.earliest(may_be) else { break };
            let rings = grant.rings.min(edges.saturating_sub(taken.all()));
            self.take_from(place, grant, rings);
            taken.add(grant.kind, rings);
            self.taken = Some(self.taken.map_or(grant.due, |due| due.later_of(grant.due)));
            self.extend_excuses(grant.due);
        }
        taken
    }

    /// An edge took a ring that is due so. It may have been a late send's, whose excuse then lasts
    /// for that ring.
    pub(super) fn extend_excuses(&mut self, taken: Due) {
        self.change_dues(|due| match due {
            excuse if excuse.explains() => None,
            excuse => Some(excuse.or_in_place_of(taken)).filter(|it| *it != excuse),
        });
    }

    /// Takes excuses of sends that were written off, for so many edges. Returns how many there
    /// were.
    pub(super) fn take_excuses(&mut self, edges: usize) -> usize {
        let mut taken: usize = 0;
        while taken < edges {
            let Some((place, grant)) = self.earliest(|due| !due.explains()) else { break };
            let excuses = grant.rings.min(edges.saturating_sub(taken));
            self.take_from(place, grant, excuses);
            taken = taken.saturating_add(excuses);
        }
        taken
    }

    /// The latest due of the rings that edges took.
    pub(super) const fn taken(&self) -> Option<Due> {
        self.taken
    }

    /// Takes so many of the rings of this grant away.
    fn take_from(&mut self, place: usize, grant: Grant, rings: usize) {
        let rings = grant.rings.saturating_sub(rings);
        self.set(place, (rings != 0).then_some(Grant { rings, ..grant }));
    }

    fn find(&self, is_it: impl Fn(&Grant) -> bool) -> Option<usize> {
        self.iter().find(|(_, grant)| is_it(grant)).map(|(place, _)| place)
    }

    fn free_place(&self) -> Option<usize> {
        self.grants.iter().position(Option::is_none)
    }

    /// Makes room, where no place is free, by making one of two grants that are alike.
    fn join_two(&mut self) -> Option<usize> {
        let pairs = self.iter().flat_map(|one| self.iter().map(move |other| (one, other)));
        let ((place, grant), (kept, other)) = pairs
            .into_iter()
            .find(|(one, other)| one.0 < other.0 && other.1.due.is_like(one.1.due))?;
        self.set(kept, Some(joined(other, grant)));
        self.set(place, None);
        Some(place)
    }
}

/// The bit that stands for an entry.
pub(super) const fn bit_of(place: usize) -> usize {
    1_usize.wrapping_shl(place as u32)
}

/// A grant that stands for two that are alike: until the later of their dues.
fn joined(grant: Grant, other: Grant) -> Grant {
    let rings = grant.rings.saturating_add(other.rings);
    Grant { rings, due: grant.due.later_of(other.due), ..grant }
}

/// Whether a deadline is farther ahead of a moment than two caps. Seen from now, it is of a clock
/// that was reset since. Twice the cap is no reset: other CPUs' clocks may be ahead, and an NMI on
/// top may have lasted.
pub(super) fn is_far_ahead(due: Due, now: Timestamp, limits: InTicks<'_>) -> bool {
    match due {
        Due::By(deadline) | Due::LateSendBy(deadline) => {
            deadline.since(now) > limits.cap().saturating_mul(2)
        }
        _ => false,
    }
}

/// Whether the cap has ended a ring without any open point, as of a moment. It counts from its
/// deadline or from when this CPU last `left` an NMI, whichever is later: until then the CPU could
/// not take it.
pub(super) fn is_beyond_cap(
    due: Due,
    left: Timestamp,
    as_of: Timestamp,
    limits: InTicks<'_>,
) -> bool {
    match due {
        Due::By(deadline) | Due::LateSendBy(deadline) => {
            as_of.since(deadline.later_of(left)) > limits.cap()
        }
        _ => false,
    }
}
