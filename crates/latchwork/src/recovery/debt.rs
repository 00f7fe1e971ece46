// SPDX-License-Identifier: MIT OR Apache-2.0
//! The debt: a poll of the Platform handlers that is owed.
//!
//! One word for the machine, since any poll pays for every CPU: 0, or the time since which a poll
//! is owed with a mark in bit 0. Bit 1 says that an edge waits for it.
//!
//! # Orderings
//!
//! *Writers*: a CPU that skips a poll, in NMI, or knows of a reason for one, in any context: a
//! store, only if nothing is owed. A CPU that polls: a swap to 0. *Readers*: the same, and every
//! CPU's tick.
//!
//! The promise is: a condition that was set before a skipper's edge is looked at by a poll that
//! begins after the edge. Two fences make it true. The skipper's lies in `ReadWord::enter`, between
//! its edge and its load of this word; the poll's is the one in `PollLock::begin`, between its swap
//! and its first look at a source.
//!
//! * If the skipper loads 0, it stores, and the poll that takes this debt begins later.
//! * If it finds a debt, the swap that takes *that* debt has not happened yet, as far as the
//!   skipper sees. So the skipper's fence comes before the poll's in their total order, and what
//!   the skipper knew, the condition included, is seen by the poll's looks.
//!
//! The taker must be a read-modify-write with the fence behind it. A plain store of 0 would lie in
//! the store buffer while the sources are read: a skipper would still find the old debt and rely on
//! a poll that has looked already. The skipper's store may be plain: while it lies in the store
//! buffer no CPU relies on it, and this CPU's own tick sees it in any case. It is Release, and the
//! swap Acquire, so that the poll asks a handler that the skipper has just registered.
//!
//! If two CPUs store at the same time, or one stores on top of a poll that has just begun, nothing
//! is lost: some debt stays, and costs a poll.

use crate::{
    primitive::{AtomicUsize, Ordering, const_unless_loom},
    time::Timestamp,
};

const OWED: usize = 1 << 0;
const EDGE_WAITS: usize = 1 << 1;
const MARKS: usize = OWED | EDGE_WAITS;

/// Whether a poll is owed, and since when.
#[derive(Debug)]
pub(crate) struct Debt {
    owed_since: AtomicUsize,
}

/// A debt as one look at the word saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owed(usize);

impl Debt {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self { owed_since: AtomicUsize::new(0) }
        }
    }

    /// What is owed now.
    #[inline(always)]
    pub(crate) fn owed(&self) -> Option<Owed> {
        match self.owed_since.load(Ordering::Relaxed) {
            0 => None,
            word => Some(Owed(word)),
        }
    }

    /// Owes a poll from `now` on, unless one is owed. Returns the debt that this call made. The
    /// caller executes a full fence between the reason and this call.
    #[inline(always)]
    pub(crate) fn owe(&self, now: Timestamp) -> Option<Owed> {
        if self.owed().is_some() {
            return None;
        }
        Some(self.store(now.word() & !MARKS | OWED))
    }

    /// Owes a poll for an edge that waits. A debt that is there keeps its age. The same fence as
    /// for [`owe`](Self::owe).
    pub(crate) fn owe_for_edge(&self, now: Timestamp) -> Option<Owed> {
        match self.owed() {
            Some(owed) if owed.has_edge() => None,
            Some(owed) => Some(self.store(owed.0 | EDGE_WAITS)),
            None => Some(self.store(now.word() & !MARKS | MARKS)),
        }
    }

    #[inline(always)]
    fn store(&self, word: usize) -> Owed {
        self.owed_since.store(word, Ordering::Release);
        Owed(word)
    }

    /// Takes the debt, for a poll that begins next, after a full fence of the caller. AcqRel: if a
    /// CPU owed it for a handler, the poll asks that handler; and see `poll_lock`.
    pub(crate) fn take(&self) -> Option<Owed> {
        match self.owed_since.swap(0, Ordering::AcqRel) {
            0 => None,
            word => Some(Owed(word)),
        }
    }

    /// Puts a debt back that was taken for a poll which did not begin. It keeps its age. Returns
    /// it, unless another CPU has made one meanwhile that says as much: that maker may have looked
    /// meanwhile, and answers for nothing.
    pub(crate) fn put_back(&self, taken: Owed) -> Option<Owed> {
        match self.owed() {
            None => Some(self.store(taken.0)),
            Some(owed) if taken.has_edge() && !owed.has_edge() => {
                Some(self.store(owed.0 | EDGE_WAITS))
            }
            Some(_) => None,
        }
    }

    /// Makes the debt one from `now`, for a CPU that has just arranged for a poll, so that no other
    /// CPU does the same. Of several that try, one succeeds.
    pub(crate) fn renew(&self, seen: Owed, now: Timestamp) -> Option<Owed> {
        let renewed = now.word() & !MARKS | seen.0 & MARKS;
        let swapped =
            self.owed_since.compare_exchange(seen.0, renewed, Ordering::AcqRel, Ordering::Relaxed);
        swapped.ok().map(|_| Owed(renewed))
    }
}

impl Owed {
    /// Whether an edge waits for the poll.
    pub(crate) fn has_edge(self) -> bool {
        self.0 & EDGE_WAITS != 0
    }

    /// Whether it was owed at least `ticks` before `now`. One from a future farther than `skew` is
    /// from before the clock was reset, and old.
    #[inline(always)]
    pub(crate) fn is_older_than(self, ticks: u64, now: Timestamp, skew_ticks: u64) -> bool {
        let since = self.since(now);
        now.since(since) >= ticks || since.since(now) > skew_ticks
    }

    /// Since when, give or take the marks' two bits, for a CPU at `now`.
    #[inline(always)]
    pub(crate) const fn since(self, now: Timestamp) -> Timestamp {
        now.nearest_of(self.0 & !MARKS)
    }

    pub(crate) const fn word(self) -> usize {
        self.0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ticks(1_000);

    #[test]
    fn the_first_who_owes_makes_the_debt_and_its_age_stays() {
        let debt = Debt::new();
        assert!(debt.owe(NOW).is_some());
        assert_eq!(debt.owe(NOW.after(500)), None);
        let owed = debt.owed().unwrap();
        assert!(owed.is_older_than(500, NOW.after(500), 10));
        assert!(!owed.is_older_than(501, NOW.after(500), 10));
        debt.take();
        assert_eq!(debt.owed(), None);
    }

    #[test]
    fn an_edge_that_waits_marks_the_debt_and_keeps_its_age() {
        let debt = Debt::new();
        debt.owe(NOW);
        assert!(debt.owe_for_edge(NOW.after(100)).is_some());
        let owed = debt.owed().unwrap();
        assert!(owed.has_edge() && owed.is_older_than(100, NOW.after(100), 10));
        assert_eq!(debt.owe_for_edge(NOW.after(200)), None);
        debt.take();
        assert!(debt.owe_for_edge(NOW).is_some_and(Owed::has_edge));
    }

    #[test]
    fn a_debt_from_the_future_is_young_within_the_skew_and_old_beyond() {
        let debt = Debt::new();
        debt.owe(NOW);
        let owed = debt.owed().unwrap();
        assert!(!owed.is_older_than(5, Timestamp::from_ticks(990), 10));
        assert!(owed.is_older_than(5, Timestamp::from_ticks(900), 10));
    }

    #[test]
    fn what_is_put_back_keeps_its_age_and_its_mark() {
        let debt = Debt::new();
        debt.owe_for_edge(NOW);
        let taken = debt.take().unwrap();
        debt.put_back(taken);
        assert_eq!(debt.owed(), Some(taken));
        debt.take();
        let younger = debt.owe(NOW.after(400)).unwrap();
        debt.put_back(taken);
        let owed = debt.owed().unwrap();
        assert!(owed.has_edge() && owed != taken && owed != younger);
        assert!(!owed.is_older_than(100, NOW.after(404), 10));
    }

    #[test]
    fn one_of_two_renews() {
        let debt = Debt::new();
        let seen = debt.owe(NOW).unwrap();
        assert!(debt.renew(seen, NOW.after(400)).is_some());
        assert_eq!(debt.renew(seen, NOW.after(400)), None);
        assert!(!debt.owed().unwrap().is_older_than(100, NOW.after(404), 10));
    }
}
