// SPDX-License-Identifier: MIT OR Apache-2.0
//! Moments on a CPU's clock, and the words that hold them.
//!
//! Rule: a moment has 64 bits on every target, so it does not wrap within the life of a machine. A
//! word that CPUs share has a machine word's bits, so it holds a moment only for a reader that
//! knows a moment near it.

use crate::primitive::{Ordering, OwnWord, const_unless_loom};

/// A moment on a CPU's clock. Compared by difference, so that a clock may wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timestamp(u64);

impl Timestamp {
    #[inline(always)]
    pub(crate) const fn from_ticks(ticks: u64) -> Self {
        Self(ticks)
    }

    #[inline(always)]
    pub(crate) const fn ticks(self) -> u64 {
        self.0
    }

    /// The low part, for a word that CPUs share.
    #[inline(always)]
    pub(crate) const fn word(self) -> usize {
        self.0 as usize
    }

    /// The moment of `word`, of those that have it the one nearest to this moment.
    #[inline(always)]
    pub(crate) const fn nearest_of(self, word: usize) -> Self {
        let ahead = word.wrapping_sub(self.word()) as isize;
        Self(self.0.wrapping_add(ahead as u64))
    }

    #[inline(always)]
    pub(crate) const fn after(self, span_ticks: u64) -> Self {
        Self(self.0.wrapping_add(span_ticks))
    }

    #[inline(always)]
    pub(crate) const fn is_before(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i64) < 0
    }

    pub(crate) const fn later_of(self, other: Self) -> Self {
        if self.is_before(other) { other } else { self }
    }

    pub(crate) const fn earlier_of(self, other: Self) -> Self {
        if self.is_before(other) { self } else { other }
    }

    /// The ticks from `earlier` to here, 0 if that comes later.
    #[inline(always)]
    pub(crate) const fn since(self, earlier: Self) -> u64 {
        if self.is_before(earlier) { 0 } else { self.0.wrapping_sub(earlier.0) }
    }
}

/// A moment that only its own CPU reads and writes, and never on top of itself: so two halves do on
/// a target whose words are too narrow.
#[derive(Debug)]
pub(crate) struct OwnTime {
    low: OwnWord,
    #[cfg(not(target_pointer_width = "64"))]
    high: OwnWord,
}

impl OwnTime {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                low: OwnWord::new(0),
                #[cfg(not(target_pointer_width = "64"))]
                high: OwnWord::new(0),
            }
        }
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> Timestamp {
        let low = self.low.load(Ordering::Relaxed) as u64;
        #[cfg(target_pointer_width = "64")]
        return Timestamp(low);
        #[cfg(not(target_pointer_width = "64"))]
        Timestamp((self.high.load(Ordering::Relaxed) as u64) << 32 | low)
    }

    #[inline(always)]
    pub(crate) fn set(&self, moment: Timestamp) {
        self.low.store(moment.0 as usize, Ordering::Relaxed);
        #[cfg(not(target_pointer_width = "64"))]
        self.high.store((moment.0 >> 32) as usize, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn timestamps_compare_across_the_wrap() {
        let early = Timestamp::from_ticks(u64::MAX - 1);
        let late = early.after(5);
        assert!(early.is_before(late) && !late.is_before(early) && !late.is_before(late));
        assert_eq!((late.since(early), early.since(late)), (5, 0));
        assert_eq!((early.later_of(late), late.later_of(early)), (late, late));
        assert_eq!((early.earlier_of(late), late.earlier_of(early)), (early, early));
    }

    #[test]
    fn a_shared_word_is_read_near_a_known_moment() {
        for now in [0, 5, u64::from(u32::MAX), u64::MAX / 2, u64::MAX].map(Timestamp::from_ticks) {
            for other in [now, now.after(1_000_000), Timestamp(now.0.wrapping_sub(1_000_000))] {
                assert_eq!(now.nearest_of(other.word()), other);
            }
        }
    }

    #[test]
    fn a_cpu_reads_back_the_whole_moment_that_it_has_stored() {
        let word = OwnTime::new();
        for ticks in [0, 1, u64::from(u32::MAX) + 7, u64::MAX] {
            word.set(Timestamp(ticks));
            assert_eq!(word.get().ticks(), ticks);
        }
    }
}
