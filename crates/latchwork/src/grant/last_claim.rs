// SPDX-License-Identifier: MIT OR Apache-2.0
//! When a CPU last claimed something, in an NMI or in a poll outside.
//!
//! Rule: what is granted lasts at least until the ring of the CPU's last claim is due. An edge that
//! is granted only now may have brought the CPU to that claim, and then the ring of what it claimed
//! is still to come.
//!
//! Own CPU only, in NMI or with interrupts off.

use crate::{
    primitive::{Ordering, OwnWord, const_unless_loom},
    time::{InTicks, Timestamp},
};

#[derive(Debug)]
pub(super) struct LastClaim(OwnWord);

impl LastClaim {
    const_unless_loom! {
        pub(super) fn new() -> Self {
            Self(OwnWord::new(0))
        }
    }

    /// Notes that this CPU claimed something at `now`.
    ///
    /// An NMI on top may have noted a later claim, which stays, unless it is of a clock that was
    /// reset since.
    #[inline(always)]
    pub(super) fn note<'a>(&self, now: Timestamp, limits: impl FnOnce() -> InTicks<'a>) {
        let last = self.get();
        if last.is_before(now) || last != now && last.since(now) > limits().cap() {
            self.0.store(now.word(), Ordering::Relaxed);
        }
    }

    /// Until when the ring of the last claim has reached the CPU's latch.
    ///
    /// A claim later than `now` by more than the cap is of a clock that was reset since.
    pub(super) fn ring_is_due_by(&self, now: Timestamp, limits: InTicks<'_>) -> Option<Timestamp> {
        let claim = self.get();
        (claim.since(now) <= limits.cap()).then(|| claim.after(limits.late()))
    }

    /// Until when the ring is due, if this CPU made the claim since `now`, when the caller looked
    /// at the clock: an NMI on top made it.
    pub(super) fn ring_is_due_since(
        &self,
        now: Timestamp,
        limits: InTicks<'_>,
    ) -> Option<Timestamp> {
        if self.get().is_before(now) {
            return None;
        }
        self.ring_is_due_by(now, limits)
    }

    fn get(&self) -> Timestamp {
        Timestamp::from_word(self.0.load(Ordering::Relaxed))
    }

    /// Forgets the claim: the CPU comes back from being offline.
    pub(super) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}
