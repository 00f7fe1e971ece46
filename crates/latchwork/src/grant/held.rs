// SPDX-License-Identifier: MIT OR Apache-2.0
//! The grants of a ledger, read once: a private copy, in which a step looks and changes as often as
//! it likes before the ledger [keeps](super::Ledger) it.
//!
//! Rule: a step reads each entry once and writes each entry once, however many rings it adds or
//! takes.

use super::entry::{Due, Grant};

/// More than there are [dues](Due) that are not alike: so two grants can always be made one.
pub(super) const ENTRIES: usize = 6;

/// A copy of a ledger's grants, by their entries.
#[derive(Debug)]
pub(super) struct Held {
    grants: [Option<Grant>; ENTRIES],
    /// The entries that hold something else in the ledger, a bit for each.
    changed: usize,
}

impl Held {
    /// What `read` finds in each entry.
    pub(super) fn of(read: impl FnMut(usize) -> Option<Grant>) -> Self {
        Self { grants: core::array::from_fn(read), changed: 0 }
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
    pub(super) fn earliest(&self, may_be: impl Fn(Due) -> bool) -> Option<(usize, Grant)> {
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

    /// Adds rings: to the same grant, or in a free place, or else to a grant that is alike.
    pub(super) fn add(&mut self, grant: Grant) {
        let is_same = |it: &Grant| it.kind == grant.kind && it.due == grant.due;
        let place = self.find(is_same).or_else(|| self.free_place());
        let place = place.or_else(|| self.find(|it| it.due.is_like(grant.due)));
        if let Some(place) = place.or_else(|| self.join_two()) {
            let before = self.grants.get(place).copied().flatten();
            self.set(place, Some(before.map_or(grant, |it| joined(it, grant))));
        }
    }

    /// Takes so many of the rings of this grant away.
    pub(super) fn take_from(&mut self, place: usize, grant: Grant, rings: usize) {
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
