// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a CPU has noted in an NMI, to do it outside.

use super::debt::Owed;
use crate::primitive::{Ordering, OwnWord, const_unless_loom};

/// Own CPU only: set in NMI or with interrupts off, looked at with interrupts off.
#[derive(Debug)]
pub(crate) struct Duties {
    /// The last debt that this CPU made, or [`ANY_DEBT`]. It answers for that one.
    made_debt: OwnWord,
    /// A handler wants the CPU to ask it again, and the CPU has not sent itself the NMI for that.
    ask_again: OwnWord,
}

/// In place of a debt: this CPU answers for whatever is owed. No debt is this word, since each has
/// a mark.
const ANY_DEBT: usize = usize::MAX & !1;

impl Duties {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self { made_debt: OwnWord::new(0), ask_again: OwnWord::new(0) }
        }
    }

    pub(super) fn set_own_debt(&self, debt: Owed) {
        self.made_debt.store(debt.word(), Ordering::Relaxed);
    }

    /// While this CPU makes a debt, and where an NMI on top may have made another meanwhile.
    pub(super) fn answer_for_any_debt(&self) {
        self.made_debt.store(ANY_DEBT, Ordering::Relaxed);
    }

    pub(super) fn answers_for_any_debt(&self) -> bool {
        self.made_debt.load(Ordering::Relaxed) == ANY_DEBT
    }

    pub(super) fn answer_for_no_debt(&self) {
        self.made_debt.store(0, Ordering::Relaxed);
    }

    pub(super) fn is_own_debt(&self, debt: Owed) -> bool {
        self.made_debt.load(Ordering::Relaxed) == debt.word() || self.answers_for_any_debt()
    }

    pub(crate) fn ask_again(&self) {
        self.ask_again.store(1, Ordering::Relaxed);
    }

    pub(super) fn has_to_ask_again(&self) -> bool {
        self.ask_again.load(Ordering::Relaxed) != 0
    }

    /// Whether a handler wants the CPU to ask it again. If so, the caller sees to it.
    pub(crate) fn take_ask_again(&self) -> bool {
        self.has_to_ask_again() && self.ask_again.swap(0, Ordering::Relaxed) != 0
    }
}
