// SPDX-License-Identifier: MIT OR Apache-2.0
//! The try-lock of the Platform handlers, which numbers the polls.
//!
//! One word: the number of the last poll that began, and the CPU that is polling, if one is. So a
//! CPU that fails to take the lock learns in the same access which poll it overlaps, and can settle
//! its edge by what that poll and later ones claimed. If the number were in a word of its own, a
//! loser might read that of the poll before, and take its edge for explained by what *that* poll
//! claimed, long ago.
//!
//! # Orderings
//!
//! *Writers*: a CPU that takes the lock, by one exchange that may fail, so no CPU waits for it; its
//! holder; and, about a holder that executes nothing any more, the CPU that marks it offline.
//! Acquire and Release make what one poll did visible to the next, and to a CPU that sees it
//! finished. The holder writes `claimed`; a CPU that has seen a later poll finished reads it.
//!
//! A CPU that takes the lock has taken the debt *before*, and executes a full fence after. So
//!
//! * a CPU that finds the lock held, and then owes a poll, owes one that this holder does not pay:
//!   the holder took the debt before the lock, Release, and the loser looked at the lock, Acquire,
//!   before it stores the debt. If a poll paid for those that it kept waiting, they would wait for
//!   the next one, which no CPU owes;
//! * a poll that looked at a source before the condition of a loser's edge was set is not later
//!   than the one that the loser finds: its fence comes before the loser's, in `ReadWord::enter`,
//!   so the loser sees its lock.

use crate::primitive::{AtomicUsize, Ordering, const_unless_loom, fence_after_rmw};

/// Room for the number of a CPU, plus one.
const HOLDER_BITS: u32 = if usize::BITS >= 64 { 13 } else { 7 };
const HOLDER_MASK: usize = (1 << HOLDER_BITS) - 1;
const ONE_POLL: usize = 1 << HOLDER_BITS;

const _: () = assert!(crate::MAX_CPUS < HOLDER_MASK, "the holder fits");

/// Which poll. Compared by difference, so that the numbers may wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PollNumber(usize);

/// The lock as a CPU saw it that found it free.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FreePollLock(usize);

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

    /// Says that no CPU asks the Platform handlers, for a caller that then takes the debt and
    /// [begins](Self::begin).
    ///
    /// # Errors
    ///
    /// The poll in progress, of another CPU or of this one underneath.
    pub(crate) fn check_free(&self) -> Result<FreePollLock, PollNumber> {
        let word = self.word.load(Ordering::Acquire);
        if word & HOLDER_MASK == 0 { Ok(FreePollLock(word)) } else { Err(PollNumber::of(word)) }
    }

    /// Makes `cpu` the one that asks the Platform handlers.
    ///
    /// # Errors
    ///
    /// The poll that another CPU, or this one on top, has begun since.
    pub(crate) fn begin(&self, free: FreePollLock, cpu: usize) -> Result<PollNumber, PollNumber> {
        let number = PollNumber(free.0.wrapping_add(ONE_POLL));
        let held = number.0 | cpu.wrapping_add(1) & HOLDER_MASK;
        let taken = self.word.compare_exchange(free.0, held, Ordering::AcqRel, Ordering::Acquire);
        fence_after_rmw();
        taken.map(|_| number).map_err(PollNumber::of)
    }

    /// Notes a claim. The holder calls it.
    pub(crate) fn note_claim(&self, number: PollNumber) {
        self.claimed.store(number.0, Ordering::Relaxed);
    }

    /// Ends the poll. The holder calls it. It keeps the last claim from getting so old that it
    /// looks like one to come.
    pub(crate) fn end(&self, number: PollNumber) {
        let oldest = PollNumber(number.0.wrapping_sub((usize::MAX / 4) & !HOLDER_MASK));
        if PollNumber(self.claimed.load(Ordering::Relaxed)).is_before(oldest) {
            self.note_claim(oldest);
        }
        self.word.store(number.0, Ordering::Release);
    }

    /// Ends the poll in which `cpu` was stopped. The caller has seen all that it did.
    ///
    /// That CPU may have consumed a condition and not published it, and it has not looked at all
    /// sources: so edges that wait for this poll count as explained.
    pub(crate) fn abandon(&self, cpu: usize) {
        let word = self.word.load(Ordering::Relaxed);
        if word & HOLDER_MASK == cpu.wrapping_add(1) {
            let number = PollNumber::of(word);
            self.note_claim(number);
            // No other CPU changes the word while a CPU holds the lock.
            self.word.store(number.0, Ordering::Release);
        }
    }

    /// Whether a poll that began after `overlapped` has finished; if so, whether `overlapped` or a
    /// later one claimed anything.
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

#[cfg(test)]
impl PollLock {
    /// For tests in which nothing is owed.
    pub(crate) fn take(&self, cpu: usize) -> Result<PollNumber, PollNumber> {
        self.begin(self.check_free()?, cpu)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_loser_is_settled_by_the_poll_it_overlapped_once_a_later_one_has_finished() {
        let lock = PollLock::new();
        let first = lock.take(0).unwrap();
        let overlapped = lock.take(1).unwrap_err();
        assert_eq!(overlapped, first);
        lock.note_claim(first);
        lock.end(first);
        assert_eq!(lock.verdict_on(overlapped), None, "the source may have been looked at before");
        let second = lock.take(1).unwrap();
        assert_eq!(lock.verdict_on(overlapped), None, "not finished");
        lock.end(second);
        assert_eq!(lock.verdict_on(overlapped), Some(true));
        assert_eq!(lock.verdict_on(second), None);
    }

    #[test]
    fn a_claim_before_the_overlapped_poll_explains_nothing() {
        let lock = PollLock::new();
        let earlier = lock.take(0).unwrap();
        lock.note_claim(earlier);
        lock.end(earlier);
        let overlapped = lock.take(0).unwrap();
        lock.end(overlapped);
        let later = lock.take(1).unwrap();
        lock.end(later);
        assert_eq!(lock.verdict_on(overlapped), Some(false));
    }

    #[test]
    fn only_its_holder_is_abandoned_and_what_waits_for_it_is_explained() {
        let lock = PollLock::new();
        lock.abandon(0);
        let number = lock.take(1).unwrap();
        lock.abandon(0);
        assert_eq!(lock.take(0), Err(number));
        lock.abandon(1);
        let next = lock.take(0).unwrap();
        lock.end(next);
        assert_eq!(lock.verdict_on(number), Some(true));
    }

    #[test]
    fn who_was_overtaken_learns_by_which_poll() {
        let lock = PollLock::new();
        let free = lock.check_free().unwrap();
        let other = lock.take(1).unwrap();
        assert_eq!(lock.begin(free, 0), Err(other));
    }

    #[test]
    fn a_claim_of_long_ago_explains_nothing_however_many_polls_come_after() {
        let lock = PollLock::new();
        let claimed = lock.take(0).unwrap();
        lock.note_claim(claimed);
        lock.end(claimed);
        for _ in 0..10 {
            let far_on =
                lock.word.load(Ordering::Relaxed).wrapping_add((usize::MAX / 8) & !HOLDER_MASK);
            lock.word.store(far_on, Ordering::Relaxed);
            let overlapped = lock.take(0).unwrap();
            lock.end(overlapped);
            let later = lock.take(0).unwrap();
            lock.end(later);
            assert_eq!(lock.verdict_on(overlapped), Some(false));
        }
    }
}
