// SPDX-License-Identifier: MIT OR Apache-2.0
//! At how many machine-wide claims a CPU has looked, of all and per Platform slot.
//!
//! Rule: a CPU counts a claim as seen before it takes its grant, so it takes the grant once.
//!
//! Own CPU only. An NMI on top that sees a claim first makes the exchange fail.

use crate::{
    contract::HANDLERS_PER_CLASS,
    primitive::{Ordering, OwnWord, array_of, const_unless_loom},
};

#[derive(Debug)]
pub(super) struct SeenClaims {
    of_all: OwnWord,
    pub(super) of_slot: [OwnWord; HANDLERS_PER_CLASS],
}

impl SeenClaims {
    const_unless_loom! {
        pub(super) fn new() -> Self {
            Self {
                of_all: OwnWord::new(0),
                of_slot: array_of![OwnWord::new(0); HANDLERS_PER_CLASS],
            }
        }
    }

    /// Whether this CPU has looked at every one of `count` claims.
    #[inline(always)]
    pub(super) fn are_all_of(&self, count: usize) -> bool {
        self.of_all.load(Ordering::Relaxed) == count
    }

    /// Notes that this CPU has looked at `count` claims.
    pub(super) fn set_all(&self, count: usize) {
        self.of_all.store(count, Ordering::Relaxed);
    }

    /// Notes a claim of `slot` that this CPU is about to publish.
    pub(super) fn add_own(&self, slot: usize) {
        if let Some(seen) = self.of_slot.get(slot) {
            seen.fetch_add(1, Ordering::Relaxed);
        }
        self.of_all.fetch_add(1, Ordering::Relaxed);
    }
}
