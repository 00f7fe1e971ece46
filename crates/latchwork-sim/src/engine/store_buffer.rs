// SPDX-License-Identifier: MIT OR Apache-2.0
//! The store buffer of a CPU: total store order, as x86 has it.
//!
//! * A store goes into the buffer. A load takes the youngest store to its word from this CPU's own
//!   buffer, or what is in memory.
//! * The oldest store may go to memory at any moment: an event of the engine's own, no preemption.
//! * The buffer is empty before a locked instruction, before MFENCE, and before those accesses to
//!   hardware that drain it. A store with `SeqCst` is XCHG, a locked instruction.
//! * It is empty before a handler begins, since it is drained "when an exception or interrupt is
//!   generated" (SDM Vol. 3A, "Store Buffer"), and when the handler has returned, since IRET is
//!   serialising (SDM Vol. 3A, "Serializing Instructions").
//! * A store to a word that no other CPU touches bypasses the buffer: it is in memory at once.
//! * A full buffer sends its oldest store to memory to make room. So a small buffer shows fewer
//!   orders than a real one.

use std::{cell::RefCell, collections::VecDeque, ptr::NonNull};

use latchwork::simulation::{Value, Word};

use super::fingerprint::Fingerprint;

/// Stores that are not in memory yet, oldest first.
#[derive(Default)]
pub(super) struct StoreBuffer(RefCell<VecDeque<Store>>);

/// A store on its way. The word outlives it: simulated words lie in the world, not on the stacks of
/// simulated CPUs.
#[derive(Clone, Copy)]
pub(super) struct Store {
    pub(super) word: NonNull<Word>,
    pub(super) value: Value,
}

impl StoreBuffer {
    pub(super) fn clear(&self) {
        self.0.borrow_mut().clear();
    }

    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn push(&self, word: &Word, value: Value) {
        self.0.borrow_mut().push_back(Store { word: NonNull::from(word), value });
    }

    pub(super) fn pop(&self) -> Option<Store> {
        self.0.borrow_mut().pop_front()
    }

    pub(super) fn youngest(&self, word: &Word) -> Option<Value> {
        let word = NonNull::from(word);
        let buffer = self.0.borrow();
        buffer.iter().rev().find(|store| store.word == word).map(|store| store.value)
    }

    pub(super) fn fold(&self, fingerprint: &mut Fingerprint) {
        let buffer = self.0.borrow();
        for store in buffer.iter() {
            fingerprint.fold(store.word.addr().get() as u64);
            fingerprint.fold(store.value.addr() as u64);
        }
        fingerprint.fold(buffer.len() as u64);
    }
}
