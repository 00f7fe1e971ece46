// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which words of memory CPUs have in common, as far as a search has seen.
//!
//! A word that one CPU alone uses, or that no CPU writes, is as good as that CPU's own: the order
//! of such an access and of what other CPUs do cannot matter. A search knows which CPUs use a word
//! only when it has seen everything. So it takes a word for private to the CPU that uses it until
//! it sees that this is wrong, and then begins again with what it has learned.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    hash::BuildHasherDefault,
};

use super::fingerprint::{IsHash, scramble};

/// Who uses which word.
#[derive(Default)]
pub(super) struct Sharing {
    users: RefCell<HashMap<u64, Users, BuildHasherDefault<IsHash>>>,
    watches: Cell<bool>,
    has_grown: Cell<bool>,
}

/// Who has used a word, by bits.
#[derive(Clone, Copy, Default)]
struct Users {
    readers: u64,
    writers: u64,
}

impl Users {
    fn conflict(self) -> bool {
        self.writers != 0 && (self.readers | self.writers).count_ones() > 1
    }
}

/// The number that stands for an event, which is no CPU.
pub(super) const NO_CPU: usize = 63;

impl Sharing {
    /// A search begins, which wants to know who uses which word if it `watches`. Nothing is known
    /// yet.
    pub(super) fn begin(&self, watches: bool) {
        self.users.borrow_mut().clear();
        self.watches.set(watches);
        self.has_grown.set(false);
    }

    /// Whether a word that the search took for private has turned out to be shared since the last
    /// call.
    pub(super) fn has_grown(&self) -> bool {
        self.has_grown.take()
    }

    /// `cpu` uses the word at this address. Returns whether the order of that and of what others do
    /// can matter.
    #[inline]
    pub(super) fn is_shared(&self, address: usize, cpu: usize, writes: bool) -> bool {
        if !self.watches.get() {
            return true;
        }
        let mut all = self.users.borrow_mut();
        let users = all.entry(scramble(address as u64)).or_default();
        let before = users.conflict();
        let bit = 1 << cpu.min(NO_CPU);
        users.readers |= bit;
        users.writers |= if writes { bit } else { 0 };
        let conflict = users.conflict();
        if conflict && !before {
            self.has_grown.set(true);
        }
        conflict
    }
}
