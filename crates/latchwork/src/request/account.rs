// SPDX-License-Identifier: MIT OR Apache-2.0
//! The receiver's account of sends: which of those that it took may not have rung yet.
//!
//! A CPU may take a request before its sender rings; another source's edge brought it here. Then
//! the ring is still to come, for as long as the sender pleases. `taken + pending − finished` says
//! how many sends are unfinished, but not which. So the receiver *waits* for all that were under
//! way when it took requests: it walks over the [send words](super::SendWord) of all CPUs once, in
//! order, as a removal walks over the read words. A send that begins after the walk has passed its
//! CPU never delays it. So a chain of short sends never looks like one that is stuck.
//!
//! There is one walk at a time, numbered. What is taken while a walk is in progress waits for the
//! next one, which begins when the first has finished. A look goes a bounded way.
//!
//! A CPU that dies in a send is passed once it is marked offline. Its send stays in the count, and
//! a walk that finishes takes it out: a send that was taken before the walk began, and is
//! unfinished now, is none that lives.
//!
//! Own CPU only: the outermost dispatch, or ordinary code with interrupts off that is inside the
//! read side. So these are plain loads and stores.

use crate::{
    primitive::{Ordering, OwnWord, const_unless_loom},
    send_wait::SendWait,
};

/// One CPU's walk over the sends that are under way.
#[derive(Debug)]
pub(crate) struct SendsAccount {
    /// The number of the walk that began last.
    pub(super) walk: OwnWord,
    /// How many CPUs it has passed. All, where none is in progress.
    pub(super) passed: OwnWord,
    /// What the word of the CPU at which it stands was, or 0.
    pub(super) standing_at: OwnWord,
    /// How many sends this CPU had taken when it began.
    pub(super) taken_before: OwnWord,
}

impl SendsAccount {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                walk: OwnWord::new(0),
                passed: OwnWord::new(usize::MAX),
                standing_at: OwnWord::new(0),
                taken_before: OwnWord::new(0),
            }
        }
    }

    /// The number of the walk that is in progress, or was last.
    pub(super) fn walk(&self) -> SendWait {
        SendWait(self.walk.load(Ordering::Relaxed))
    }

    /// Ends the walk: the CPU comes back from being offline.
    pub(crate) fn reset(&self) {
        self.passed.store(usize::MAX, Ordering::Relaxed);
    }

    pub(super) fn is_in_progress(&self, cpus: usize) -> bool {
        self.passed.load(Ordering::Relaxed) < cpus
    }

    /// Begins the next walk. What this CPU took before, it knows to have begun: it reads each send
    /// word after that.
    pub(super) fn begin_walk(&self, taken: usize) -> SendWait {
        let walk = self.walk().next();
        self.walk.store(walk.0, Ordering::Relaxed);
        self.passed.store(0, Ordering::Relaxed);
        self.standing_at.store(0, Ordering::Relaxed);
        self.taken_before.store(taken, Ordering::Relaxed);
        walk
    }
}
