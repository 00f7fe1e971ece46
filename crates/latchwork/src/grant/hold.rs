// SPDX-License-Identifier: MIT OR Apache-2.0
//! Holding grants for sends that were taken before they rang.
//!
//! *Set the request; another source's NMI claims both; IRET; only now the sender rings.* The edge comes as
//! late as the sender pleases, so no deadline fits. While such a send is unfinished no grant of the
//! receiving CPU ends, and when it has finished, its edge is due within `late` of that. The moment at which
//! it finished is not known; the next open point sees only that it has, and counts from there.
//!
//! A sender that is stuck, or a virtual CPU that does not run, may leave a send unfinished for ever. After
//! `hold_us` it holds no longer. Its edge, if it comes at all, is explained by nothing and said to be a *late
//! send*: reported, and never panicked on.
//!
//! Own CPU only. The sends are those that `taken + pending − finished` counts: one that begins after the
//! taken one has finished is taken for it. That errs on the long side, `hold_us` at most.

use crate::{
    limits::InTicks,
    moment::Moment,
    primitive::{Ordering, OwnWord, const_unless_loom},
};

const SET: usize = 1 << 0;
const STUCK: usize = 1 << 1;

/// Since when this CPU holds its grants, and until when it may meet a late send.
#[derive(Debug)]
pub(super) struct Hold {
    /// 0, or a moment with bit 0 set, and bit 1 once the send has been unfinished for too long.
    since: OwnWord,
    /// 0, or a moment with bit 0 set.
    late_send_until: OwnWord,
}

/// What a look at the sends says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A send is unfinished: no grant ends.
    Holds,
    /// It has finished since the last look, perhaps just now.
    Finished,
    /// It has been unfinished for too long, and holds nothing.
    Stuck,
}

impl Hold {
    const_unless_loom! {
        pub(super) fn new() -> Self {
            Self { since: OwnWord::new(0), late_send_until: OwnWord::new(0) }
        }
    }

    /// There is something to look at.
    #[inline(always)]
    pub(super) fn is_set(&self) -> bool {
        self.since.load(Ordering::Relaxed) != 0
    }

    /// No grant ends.
    #[inline(always)]
    pub(super) fn holds(&self) -> bool {
        self.since.load(Ordering::Relaxed) & (SET | STUCK) == SET
    }

    pub(super) fn begin(&self, now: Moment) {
        if !self.is_set() {
            self.since.store(now.word() & !STUCK | SET, Ordering::Relaxed);
        }
    }

    /// Looks again, given how many sends are unfinished.
    pub(super) fn look(&self, unfinished: usize, now: Moment, limits: InTicks<'_>) -> Look {
        let since = self.since.load(Ordering::Relaxed);
        let is_stuck = since & STUCK != 0 || now.since(Moment::from_word(since)) >= limits.hold();
        match (unfinished, is_stuck) {
            (0, false) => {
                self.since.store(0, Ordering::Relaxed);
                Look::Finished
            }
            (0, true) => {
                let until = now.after(limits.late());
                self.late_send_until.store(until.word() | SET, Ordering::Relaxed);
                self.since.store(0, Ordering::Relaxed);
                Look::Stuck
            }
            (_, false) => Look::Holds,
            (_, true) => {
                self.since.store(since | STUCK, Ordering::Relaxed);
                Look::Stuck
            }
        }
    }

    pub(super) fn may_be_late_send(&self, now: Moment, limits: InTicks<'_>) -> bool {
        let since = self.since.load(Ordering::Relaxed);
        if since & STUCK != 0 || since != 0 && now.since(Moment::from_word(since)) >= limits.hold()
        {
            return true;
        }
        let until = self.late_send_until.load(Ordering::Relaxed);
        until != 0 && !Moment::from_word(until).is_before(now)
    }

    pub(super) fn reset(&self) {
        self.since.store(0, Ordering::Relaxed);
        self.late_send_until.store(0, Ordering::Relaxed);
    }
}
