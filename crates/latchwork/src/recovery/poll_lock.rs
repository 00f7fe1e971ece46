// SPDX-License-Identifier: MIT OR Apache-2.0
//! The try-lock of the Platform handlers, which numbers the polls.
//!
//! One word: the number of the last poll that began, and the CPU that is at it, if one is. So who fails to
//! take the lock learns in the same access which poll it overlaps, and can settle its edge by what that
//! poll and later ones claimed. With the number in a word of its own, a loser might read that of the poll
//! before, and have its edge explained by what *that* claimed, long ago.
//!
//! # Orderings
//!
//! *Writers*: whoever takes the lock, by one exchange that may fail, so nobody waits for it; its holder;
//! and, about a holder that executes nothing any more, who knows that. Acquire and Release make what one
//! poll did visible to the next, and to who sees it finished. `claimed` is written by the holder, and read
//! by who has seen a later poll finished.

use crate::primitive::{AtomicUsize, Ordering, const_unless_loom};

/// Room for the number of a CPU, plus one.
const HOLDER_BITS: u32 = if usize::BITS >= 64 { 13 } else { 7 };
const HOLDER_MASK: usize = (1 << HOLDER_BITS) - 1;
const ONE_POLL: usize = 1 << HOLDER_BITS;

const _: () = assert!(crate::MAX_CPUS < HOLDER_MASK, "the holder fits");

/// Which poll. Compared by difference, so that the numbers may wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PollNumber(usize);

/// The lock, and what is known of the polls made under it.
#[derive(Debug)]
pub(crate) struct PollLock {
    word: AtomicUsize,
    /// The number of the last poll that claimed anything.
    claimed: AtomicUsize,
}

impl PollLock {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self { word: AtomicUsize::new(0), claimed: AtomicUsize::new(0) }
        }
    }

    /// Makes `cpu` the one that asks the Platform handlers.
    ///
    /// # Errors
    ///
    /// The poll that another CPU, or this one underneath, is at, or was at a moment ago.
    pub(crate) fn begin(&self, cpu: usize) -> Result<PollNumber, PollNumber> {
        let word = self.word.load(Ordering::Relaxed);
        if word & HOLDER_MASK != 0 {
            return Err(PollNumber::of(word));
        }
        let number = PollNumber(word.wrapping_add(ONE_POLL));
        let held = number.0 | cpu.wrapping_add(1) & HOLDER_MASK;
        let taken = self.word.compare_exchange(word, held, Ordering::Acquire, Ordering::Relaxed);
        taken.map(|_| number).map_err(PollNumber::of)
    }

    /// The holder.
    pub(crate) fn note_claim(&self, number: PollNumber) {
        self.claimed.store(number.0, Ordering::Relaxed);
    }

    /// The holder.
    pub(crate) fn end(&self, number: PollNumber) {
        self.word.store(number.0, Ordering::Release);
    }

    /// Ends the poll in which `cpu` was stopped. Returns whether it was in one. The caller has seen all
    /// that it did.
    pub(crate) fn abandon(&self, cpu: usize) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        if word & HOLDER_MASK != cpu.wrapping_add(1) {
            return false;
        }
        let ended = PollNumber::of(word).0;
        self.word.compare_exchange(word, ended, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Whether a poll that began after `overlapped` has finished; if so, whether `overlapped` or a later
    /// one claimed anything.
    pub(crate) fn verdict_on(&self, overlapped: PollNumber) -> Option<bool> {
        let word = self.word.load(Ordering::Acquire);
        let begun = PollNumber::of(word);
        let finished = if word & HOLDER_MASK == 0 {
            begun
        } else {
            PollNumber(begun.0.wrapping_sub(ONE_POLL))
        };
        if !overlapped.is_before(finished) {
            return None;
        }
        let claimed = PollNumber(self.claimed.load(Ordering::Relaxed));
        Some(!claimed.is_before(overlapped))
    }
}

impl PollNumber {
    const fn of(word: usize) -> Self {
        Self(word & !HOLDER_MASK)
    }

    const fn is_before(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as isize) < 0
    }

    /// As a word whose low bits are free.
    pub(crate) const fn word(self) -> usize {
        self.0
    }

    pub(crate) const fn from_word(word: usize) -> Self {
        Self::of(word)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_loser_is_settled_by_the_poll_it_overlapped_once_a_later_one_has_finished() {
        let lock = PollLock::new();
        let first = lock.begin(0).unwrap();
        let overlapped = lock.begin(1).unwrap_err();
        assert_eq!(overlapped, first);
        lock.note_claim(first);
        lock.end(first);
        assert_eq!(lock.verdict_on(overlapped), None, "the source may have been looked at before");
        let second = lock.begin(1).unwrap();
        assert_eq!(lock.verdict_on(overlapped), None, "not finished");
        lock.end(second);
        assert_eq!(lock.verdict_on(overlapped), Some(true));
        assert_eq!(lock.verdict_on(second), None);
    }

    #[test]
    fn a_claim_before_the_overlapped_poll_explains_nothing() {
        let lock = PollLock::new();
        let earlier = lock.begin(0).unwrap();
        lock.note_claim(earlier);
        lock.end(earlier);
        let overlapped = lock.begin(0).unwrap();
        lock.end(overlapped);
        let later = lock.begin(1).unwrap();
        lock.end(later);
        assert_eq!(lock.verdict_on(overlapped), Some(false));
    }

    #[test]
    fn only_its_holder_is_abandoned() {
        let lock = PollLock::new();
        assert!(!lock.abandon(0));
        let number = lock.begin(1).unwrap();
        assert!(!lock.abandon(0));
        assert!(lock.abandon(1));
        assert_ne!(lock.begin(0), Ok(number));
    }
}
