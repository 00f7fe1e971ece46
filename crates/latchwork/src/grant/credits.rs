// SPDX-License-Identifier: MIT OR Apache-2.0
//! The word of credits: how many edges a CPU may absorb, by kind.
//!
//! Rule: a credit is used up once. What a CPU finds dead it drops only if nothing was added since.
//!
//! Four counts, and above them a number that grows with each change. Its own CPU alone changes it,
//! by an exchange: the number makes the exchange fail if an NMI on the same CPU changed the word in
//! between, even if the counts are what they were. Each such NMI costs one more try, and how many
//! nest there bounds the tries.

use crate::{
    contract::GrantKind,
    primitive::{Ordering, OwnWord, const_unless_loom},
};

const COUNT_BITS: u32 = 6;

const fn shift_of(kind: GrantKind) -> u32 {
    (kind as u32).wrapping_mul(COUNT_BITS)
}

/// The most edges of a kind that one CPU can be granted at a time. Grants beyond it are left out:
/// so many rings in flight at once are a storm.
pub(crate) const MOST_CREDITS: usize = (1 << COUNT_BITS) - 1;
const COUNTS: usize = (1 << (4 * COUNT_BITS)) - 1;
const ONE_CHANGE: usize = COUNTS + 1;

/// How often a CPU tries a change. Each failure is an NMI on this very CPU in between.
const TRIES: usize = 16;

/// What the word said at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts(usize);

impl Counts {
    #[inline(always)]
    pub(crate) const fn is_empty(self) -> bool {
        self.0 & COUNTS == 0
    }

    const fn of(self, kind: GrantKind) -> usize {
        self.0 >> shift_of(kind) & MOST_CREDITS
    }

    pub(crate) fn by_kind(self) -> [usize; GrantKind::ALL.len()] {
        GrantKind::ALL.map(|kind| self.of(kind))
    }

    const fn changed(self, counts: usize) -> Self {
        Self((self.0 & !COUNTS).wrapping_add(ONE_CHANGE) | counts & COUNTS)
    }

    fn plus(self, kind: GrantKind, edges: usize) -> Self {
        let sum = self.of(kind).saturating_add(edges).min(MOST_CREDITS);
        self.changed(self.0 & !(MOST_CREDITS << shift_of(kind)) | sum << shift_of(kind))
    }

    /// One credit less of the first of `kinds` of which there is any, and which kind that is.
    fn minus_one_of(self, kinds: &[GrantKind]) -> Option<(Self, GrantKind)> {
        let kind = kinds.iter().copied().find(|kind| self.of(*kind) != 0)?;
        Some((self.changed(self.0.wrapping_sub(1 << shift_of(kind))), kind))
    }
}

/// One CPU's credits. Own CPU only, in NMI or with interrupts off.
#[derive(Debug)]
pub(crate) struct Credits(OwnWord);

impl Credits {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self(OwnWord::new(0))
        }
    }

    #[inline(always)]
    pub(crate) fn counts(&self) -> Counts {
        Counts(self.0.load(Ordering::Relaxed))
    }

    /// Drops what `dead` says, unless it has changed since.
    pub(crate) fn drop_all(&self, dead: Counts) {
        let _ = self.exchange(dead, dead.changed(0));
    }

    pub(crate) fn add(&self, kind: GrantKind, edges: usize) {
        for _ in 0..TRIES {
            let counts = self.counts();
            if self.exchange(counts, counts.plus(kind, edges)) {
                return;
            }
        }
    }

    /// Uses up one credit, of the first of `kinds` of which there is any.
    pub(crate) fn use_one_of(&self, kinds: &[GrantKind]) -> Option<GrantKind> {
        for _ in 0..TRIES {
            let counts = self.counts();
            let (fewer, kind) = counts.minus_one_of(kinds)?;
            if self.exchange(counts, fewer) {
                return Some(kind);
            }
        }
        None
    }

    fn exchange(&self, from: Counts, to: Counts) -> bool {
        self.0.compare_exchange(from.0, to.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    pub(crate) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn use_one(credits: &Credits) -> Option<GrantKind> {
        credits.use_one_of(&GrantKind::ALL)
    }

    #[test]
    fn each_kind_is_counted_by_itself_and_used_up_in_order() {
        let credits = Credits::new();
        for kind in GrantKind::ALL {
            credits.add(kind, 2);
        }
        for kind in GrantKind::ALL {
            assert_eq!((use_one(&credits), use_one(&credits)), (Some(kind), Some(kind)));
            assert_eq!(credits.use_one_of(&[kind]), None);
        }
        assert_eq!(use_one(&credits), None);
        assert!(credits.counts().is_empty());
    }

    #[test]
    fn a_count_stops_at_its_most_and_spares_its_neighbours() {
        let credits = Credits::new();
        credits.add(GrantKind::Late, usize::MAX);
        credits.add(GrantKind::Late, 1);
        for _ in 0..MOST_CREDITS {
            assert_eq!(use_one(&credits), Some(GrantKind::Late));
        }
        assert_eq!(use_one(&credits), None);
    }

    #[test]
    fn what_has_changed_since_is_not_dropped_even_if_it_looks_the_same() {
        let credits = Credits::new();
        credits.add(GrantKind::Collapsed, 1);
        let before = credits.counts();
        use_one(&credits);
        credits.add(GrantKind::Collapsed, 1);
        credits.drop_all(before);
        assert!(!credits.counts().is_empty());
        credits.drop_all(credits.counts());
        assert!(credits.counts().is_empty());
    }
}
