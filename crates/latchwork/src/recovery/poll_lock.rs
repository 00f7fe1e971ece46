// SPDX-License-Identifier: MIT OR Apache-2.0
//! The try-lock of the Platform handlers, which numbers the polls.
//!
//! One word: the number of the last poll that began, and the CPU that is polling, if one is. So a
//! CPU that fails to take the lock learns in the same access which poll it overlaps, and judges its
//! edge once a later one is over. If the number were in a word of its own, a loser might read that
//! of the poll before, and judge its edge before the poll that it overlaps has published a claim.
//!
//! # Orderings
//!
//! *Writers*: a CPU that takes the lock, by one exchange that may fail, so no CPU waits for it; its
//! holder; and, about a holder that executes nothing any more, the CPU that marks it offline.
//! Acquire and Release make what one poll did, its published claims among it, visible to the next,
//! and to a CPU that sees it finished.
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

/// The lock.
#[derive(Debug)]
pub(crate) struct PollLock(AtomicUsize);

impl PollLock {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self(AtomicUsize::new(0))
        }
    }

    /// Says that no CPU asks the Platform handlers, for a caller that then takes the debt and
    /// [begins](Self::begin).
    ///
    /// # Errors
    ///
    /// The poll in progress, of another CPU or of this one underneath.
    pub(crate) fn check_free(&self) -> Result<FreePollLock, PollNumber> {
        let word = self.0.load(Ordering::Acquire);
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
        let taken = self.0.compare_exchange(free.0, held, Ordering::AcqRel, Ordering::Acquire);
        fence_after_rmw();
        taken.map(|_| number).map_err(PollNumber::of)
    }

    /// Ends the poll. The holder calls it, after it has published what it claimed.
    pub(crate) fn end(&self, number: PollNumber) {
        self.0.store(number.0, Ordering::Release);
    }

    /// Ends the poll in which `cpu` was stopped, if it was. The caller has seen all that it did,
    /// and has published what it may have claimed.
    pub(crate) fn abandon(&self, cpu: usize, publish: impl FnOnce()) {
        let word = self.0.load(Ordering::Relaxed);
        if word & HOLDER_MASK == cpu.wrapping_add(1) {
            publish();
            // No other CPU changes the word while a CPU holds the lock.
            self.end(PollNumber::of(word));
        }
    }

    /// Whether a poll that began after `overlapped` has ended.
    pub(crate) fn has_ended_after(&self, overlapped: PollNumber) -> bool {
        let word = self.0.load(Ordering::Acquire);
        let begun = PollNumber::of(word);
        let ended = if word & HOLDER_MASK == 0 {
            begun
        } else {
            PollNumber(begun.0.wrapping_sub(ONE_POLL))
        };
        overlapped.is_before(ended)
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
    fn a_loser_waits_until_a_later_poll_than_the_one_it_overlapped_is_over() {
        let lock = PollLock::new();
        let first = lock.take(0).unwrap();
        let overlapped = lock.take(1).unwrap_err();
        assert_eq!(overlapped, first);
        lock.end(first);
        assert!(!lock.has_ended_after(overlapped), "it may have looked at the source before");
        let second = lock.take(1).unwrap();
        assert!(!lock.has_ended_after(overlapped), "not over");
        lock.end(second);
        assert!(lock.has_ended_after(overlapped) && !lock.has_ended_after(second));
    }

    #[test]
    fn only_its_holder_is_abandoned_and_its_claims_are_published_before() {
        let lock = PollLock::new();
        let publish_nothing = || panic!("no such poll");
        lock.abandon(0, publish_nothing);
        let number = lock.take(1).unwrap();
        lock.abandon(0, publish_nothing);
        assert_eq!(lock.take(0), Err(number));
        lock.abandon(1, || assert_eq!(lock.take(0), Err(number)));
        assert!(lock.take(0).is_ok());
    }

    #[test]
    fn who_was_overtaken_learns_by_which_poll() {
        let lock = PollLock::new();
        let free = lock.check_free().unwrap();
        let other = lock.take(1).unwrap();
        assert_eq!(lock.begin(free, 0), Err(other));
    }

    #[test]
    fn a_later_poll_is_later_across_the_wrap_of_the_numbers() {
        let lock = PollLock(AtomicUsize::new(usize::MAX & !HOLDER_MASK));
        let last = lock.take(0).unwrap();
        lock.end(last);
        assert!(!lock.has_ended_after(last));
        let first = lock.take(0).unwrap();
        lock.end(first);
        assert!(lock.has_ended_after(last) && !lock.has_ended_after(first));
    }
}
