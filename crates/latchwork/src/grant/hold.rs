// SPDX-License-Identifier: MIT OR Apache-2.0
//! Holding grants for sends that were taken before they rang.
//!
//! Rule: while such a send is unfinished, no grant of its CPU ends; but not for longer than
//! `hold_us`.
//!
//! *A sender sets the request; another source's NMI claims both; IRET; only now the sender rings.*
//! The edge comes as late as the sender pleases, so no deadline fits. While such a send is
//! unfinished, no grant of the receiving CPU ends. Once it has finished, its edge is due within
//! `late` of that. The moment at which it finished is not known; the next open point sees only that
//! it has, and counts from there.
//!
//! A sender that is stuck, or a virtual CPU that does not run, may leave a send unfinished for
//! ever. After `hold_us` the receiving CPU *writes it off*: it holds no longer, but later sends do.
//! If its edge comes at all, nothing explains it, and the CPU calls it a *late send*: it reports
//! it, and never panics on it.
//!
//! Own CPU only. A look counts the sends after it has read the state, and changes the state by an
//! exchange. An NMI on top that takes another unfinished send changes the state too, so that what
//! the look counted does not end the hold for that send. `taken + pending − finished` counts the
//! sends. So a send that begins after the taken one has finished is mistaken for it, which errs on
//! the long side, by `hold_us` at most.

use crate::{
    primitive::{Ordering, OwnWord, const_unless_loom},
    time::{InTicks, Timestamp},
};

/// No grant ends.
const HOLDS: usize = 1 << 0;
/// Sends are written off.
const WROTE_OFF: usize = 1 << 1;
/// Above them, a number that grows with each change.
const ONE_CHANGE: usize = 1 << 2;

/// Since when this CPU holds its grants, and until when it may meet a late send.
#[derive(Debug)]
pub(super) struct Hold {
    state: OwnWord,
    since: OwnWord,
    /// How many sends have been unfinished for too long.
    written_off: OwnWord,
    /// 0, or a timestamp with bit 0 set.
    late_send_until: OwnWord,
}

/// What an update found out about the sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HoldUpdate {
    /// A send is unfinished: no grant ends.
    Holds,
    /// It has finished since the last look, perhaps just now.
    Finished,
    /// What is unfinished has been so for too long.
    HoldsNothing,
}

impl Hold {
    const_unless_loom! {
        pub(super) fn new() -> Self {
            Self {
                state: OwnWord::new(0),
                since: OwnWord::new(0),
                written_off: OwnWord::new(0),
                late_send_until: OwnWord::new(0),
            }
        }
    }

    /// Whether there is something at which to look.
    #[inline(always)]
    pub(super) fn is_set(&self) -> bool {
        self.state.load(Ordering::Relaxed) & (HOLDS | WROTE_OFF) != 0
    }

    /// Whether no grant ends.
    #[inline(always)]
    pub(super) fn holds(&self) -> bool {
        self.state.load(Ordering::Relaxed) & HOLDS != 0
    }

    /// Begins to hold: this CPU took a request, and `unfinished` sends are unfinished. An NMI on
    /// top finds the hold set, or sets it itself.
    #[inline(always)]
    pub(super) fn begin(&self, unfinished: usize, now: Timestamp) {
        if unfinished == 0 {
            return;
        }
        let state = self.state.load(Ordering::Relaxed);
        if state & HOLDS == 0 {
            self.since.store(now.word(), Ordering::Relaxed);
        }
        self.state.store(state.wrapping_add(ONE_CHANGE) | HOLDS, Ordering::Relaxed);
    }

    /// Looks again at the sends, of which `unfinished` are unfinished.
    pub(super) fn update(
        &self,
        unfinished: impl FnOnce() -> usize,
        now: Timestamp,
        limits: InTicks<'_>,
    ) -> HoldUpdate {
        let state = self.state.load(Ordering::Relaxed);
        let since = Timestamp::from_word(self.since.load(Ordering::Relaxed));
        let unfinished = unfinished();
        let written_off = self.still_written_off(unfinished, now, limits);
        let is_late = now.since(since) >= limits.hold();
        let holds = state & HOLDS != 0;
        let (update, written_off) = match unfinished > written_off {
            true if holds && is_late => (HoldUpdate::HoldsNothing, unfinished),
            true if holds => return HoldUpdate::Holds,
            false if holds => (HoldUpdate::Finished, written_off),
            _ => (HoldUpdate::HoldsNothing, written_off),
        };
        let flag = if written_off == 0 { 0 } else { WROTE_OFF };
        let after = state.wrapping_add(ONE_CHANGE) & !(HOLDS | WROTE_OFF) | flag;
        let exchange =
            self.state.compare_exchange(state, after, Ordering::Relaxed, Ordering::Relaxed);
        if exchange.is_err() {
            return HoldUpdate::Holds;
        }
        self.written_off.store(written_off, Ordering::Relaxed);
        update
    }

    /// How many sends are written off, given that some may have finished.
    fn still_written_off(&self, unfinished: usize, now: Timestamp, limits: InTicks<'_>) -> usize {
        let written_off = self.written_off.load(Ordering::Relaxed);
        if unfinished < written_off {
            let until = now.after(limits.late());
            self.late_send_until.store(until.word() | 1, Ordering::Relaxed);
        }
        written_off.min(unfinished)
    }

    pub(super) fn may_be_late_send(&self, now: Timestamp, limits: InTicks<'_>) -> bool {
        let state = self.state.load(Ordering::Relaxed);
        let since = Timestamp::from_word(self.since.load(Ordering::Relaxed));
        if state & WROTE_OFF != 0 || state & HOLDS != 0 && now.since(since) >= limits.hold() {
            return true;
        }
        let until = self.late_send_until.load(Ordering::Relaxed);
        until != 0 && !Timestamp::from_word(until).is_before(now)
    }

    pub(super) fn reset(&self) {
        self.state.store(0, Ordering::Relaxed);
        self.written_off.store(0, Ordering::Relaxed);
        self.late_send_until.store(0, Ordering::Relaxed);
    }
}
