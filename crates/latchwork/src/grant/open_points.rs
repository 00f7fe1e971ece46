// SPDX-License-Identifier: MIT OR Apache-2.0
//! Open points: moments at which a CPU would have taken any edge that had come.
//!
//! Rule: a grant ends at the first open point after its deadline. The clock alone ends nothing,
//! since a deadline says when the ring must have reached the CPU's latch, not when the CPU took it:
//! that CPU may have been parked, stopped by firmware, or a virtual CPU that did not run.
//!
//! The open points are the CPU's tick, its entry into idle, and, once it has left an NMI, the end
//! of the NMI before that one. Whatever had come by then it has taken since, as the NMI that it
//! left or as one in between. It is not known when the NMI that it left was delivered: this CPU
//! read the clock later, perhaps much later on a virtual CPU.
//!
//! A cap ends a grant all the same, without any open point: after its deadline or the last NMI,
//! whichever is later.
//!
//! Own CPU only, in NMI or with interrupts off.

use crate::{
    primitive::{Ordering, OwnWord, const_unless_loom},
    time::{InTicks, Timestamp},
};

/// Whether edges of a CPU wait to be settled by what is granted to it: then no grant ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsettled {
    Nothing,
    Edges,
}

#[derive(Debug)]
pub(super) struct OpenPoints {
    last: OwnWord,
    /// When the CPU left its last NMI.
    last_leave: OwnWord,
}

impl OpenPoints {
    const_unless_loom! {
        pub(super) fn new() -> Self {
            Self { last: OwnWord::new(0), last_leave: OwnWord::new(0) }
        }
    }

    /// Whether a grant that ends at `deadline` has not ended.
    ///
    /// One farther ahead than any lateness can be is from before the clock was reset, and has.
    /// Twice the cap is no reset: other CPUs' clocks may be ahead, and an NMI on top may have
    /// lasted.
    pub(super) fn let_live(
        &self,
        deadline: Timestamp,
        now: Timestamp,
        limits: InTicks<'_>,
    ) -> bool {
        if deadline.is_before(load(&self.last)) {
            return false;
        }
        let cap = limits.cap();
        let could_take_from = deadline.later_of(load(&self.last_leave));
        now.since(could_take_from) <= cap && deadline.since(now) <= cap.saturating_mul(2)
    }

    /// Notes an open point at `now`.
    ///
    /// An NMI on top may have noted one later than `now`. Going back to `now` only lets a grant
    /// live until the next open point.
    pub(super) fn note(&self, now: Timestamp) {
        self.last.store(now.word(), Ordering::Relaxed);
    }

    /// Notes that the CPU leaves an NMI at `left`. The end of the one before is an open point, if
    /// `may_open`.
    ///
    /// An NMI that left later came on top of the end of this one, and has noted everything. One
    /// that left later by more than the cap left before the clock was reset: nobody knows when that
    /// was by the present clock.
    #[inline(always)]
    pub(super) fn note_leave<'a>(
        &self,
        left: Timestamp,
        may_open: impl FnOnce() -> bool,
        limits: impl FnOnce() -> InTicks<'a>,
    ) {
        let before = load(&self.last_leave);
        if left.is_before(before) {
            if before.since(left) <= limits().cap() {
                return;
            }
        } else if may_open() && load(&self.last).is_before(before) {
            self.note(before);
        }
        self.last_leave.store(left.word(), Ordering::Relaxed);
    }

    /// Forgets what came before `now`: the CPU comes back from being offline.
    pub(super) fn reset(&self, now: Timestamp) {
        self.note(now);
        self.last_leave.store(now.word(), Ordering::Relaxed);
    }
}

#[inline(always)]
fn load(word: &OwnWord) -> Timestamp {
    Timestamp::from_word(word.load(Ordering::Relaxed))
}
