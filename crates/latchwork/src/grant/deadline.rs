// SPDX-License-Identifier: MIT OR Apache-2.0
//! The deadline of all that a CPU was granted: by then each of those rings has reached it.
//!
//! Rule: the deadline only moves on. An earlier deadline takes the place of one that was found
//! dead, and only if that one is still there.
//!
//! Own CPU only, so only an NMI on top can come in between. It, too, only moves the deadline on,
//! and then the exchange of the code underneath fails.

use crate::{
    primitive::{Ordering, OwnWord, const_unless_loom},
    time::Timestamp,
};

/// How often a CPU tries a change. Each failure is an NMI on this very CPU in between.
const TRIES: usize = 16;

#[derive(Debug)]
pub(super) struct Deadline(OwnWord);

impl Deadline {
    const_unless_loom! {
        pub(super) fn new() -> Self {
            Self(OwnWord::new(0))
        }
    }

    #[inline(always)]
    pub(super) fn get(&self) -> Timestamp {
        Timestamp::from_word(self.0.load(Ordering::Relaxed))
    }

    /// Moves the deadline on to `deadline`, if it is earlier.
    pub(super) fn extend_to(&self, deadline: Timestamp) {
        for _ in 0..TRIES {
            let before = self.get();
            if !before.is_before(deadline) || self.replace(before, deadline) {
                return;
            }
        }
    }

    /// Puts `after` in the place of `before`. Returns whether `before` was still there.
    pub(super) fn replace(&self, before: Timestamp, after: Timestamp) -> bool {
        let (before, after) = (before.word(), after.word());
        self.0.compare_exchange(before, after, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
