// SPDX-License-Identifier: MIT OR Apache-2.0
//! Points in time, in one machine word.
//!
//! A timestamp is the low word of the platform's ticks. The library compares timestamps by their
//! difference, so they wrap without harm as long as two that it compares lie less than half a word
//! apart. On 64-bit targets that is for ever. On 32-bit ones it is 2³¹ ticks, which is why
//! [`Nmi::set_limits`](crate::Nmi::set_limits) refuses limits of more than a thousandth of it.

/// A point in time on one CPU's clock, or on another's, as far as those agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timestamp(usize);

impl Timestamp {
    #[inline(always)]
    pub(crate) const fn from_ticks(ticks: u64) -> Self {
        Self(ticks as usize)
    }

    #[inline(always)]
    pub(crate) const fn from_word(word: usize) -> Self {
        Self(word)
    }

    #[inline(always)]
    pub(crate) const fn word(self) -> usize {
        self.0
    }

    #[inline(always)]
    pub(crate) const fn after(self, span_ticks: usize) -> Self {
        Self(self.0.wrapping_add(span_ticks))
    }

    #[inline(always)]
    pub(crate) const fn is_before(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as isize) < 0
    }

    pub(crate) const fn later_of(self, other: Self) -> Self {
        if self.is_before(other) { other } else { self }
    }

    /// The ticks from `earlier` to here, 0 if that comes later.
    #[inline(always)]
    pub(crate) const fn since(self, earlier: Self) -> usize {
        if self.is_before(earlier) { 0 } else { self.0.wrapping_sub(earlier.0) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn timestamps_compare_across_the_wrap() {
        let early = Timestamp::from_word(usize::MAX - 1);
        let late = early.after(5);
        assert!(early.is_before(late) && !late.is_before(early) && !late.is_before(late));
        assert_eq!((late.since(early), early.since(late)), (5, 0));
        assert_eq!(early.later_of(late), late);
        assert_eq!(late.later_of(early), late);
    }
}
