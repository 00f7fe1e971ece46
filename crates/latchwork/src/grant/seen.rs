// SPDX-License-Identifier: MIT OR Apache-2.0
//! At how many machine-wide claims a CPU has looked, and at how many rings per Platform slot.
//!
//! Rule: a CPU counts a claim's rings as seen when it adds them, so it adds them once.
//!
//! Own CPU only, outermost.

use crate::{
    contract::HANDLERS_PER_CLASS,
    primitive::{OwnWord, array_of, const_unless_loom},
};

/// At how many machine-wide claims this CPU has looked, and at how many rings per Platform slot.
#[derive(Debug)]
pub(super) struct SeenClaims {
    pub(super) of_all: OwnWord,
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
}
