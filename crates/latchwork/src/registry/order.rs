// SPDX-License-Identifier: MIT OR Apache-2.0
//! The order word: the whole dispatch order of a class in one machine word.
//!
//! | bits | meaning |
//! |---|---|
//! | 3..0 | the slot asked first, plus one; 0 = end |
//! | 7..4 | the slot asked second, plus one; 0 = end |
//! | … | … |
//!
//! So a dispatch takes one load and shifts its private copy until it is 0, and a writer publishes,
//! re-orders and removes by one store. On 64-bit targets fifteen slots and an end mark fit; on
//! 32-bit ones seven.

use crate::contract::HANDLERS_PER_CLASS;

const BITS_PER_SLOT: u32 = 4;
const SLOT_MASK: usize = (1 << BITS_PER_SLOT) - 1;

const _: () = assert!(
    (HANDLERS_PER_CLASS + 1) * BITS_PER_SLOT as usize <= usize::BITS as usize,
    "a class and an end mark fit one word"
);

/// A private copy of an order word, walked from the first slot to the end mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order(usize);

impl Order {
    pub(crate) const fn from_word(word: usize) -> Self {
        Self(word)
    }

    pub(crate) const fn word(self) -> usize {
        self.0
    }

    /// Whether the order names no slot.
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The order that asks the slots of `first_to_last` and no other.
    ///
    /// Slots beyond what the word can hold are left out; the registry never has so many.
    pub(crate) fn of(first_to_last: impl DoubleEndedIterator<Item = usize>) -> Self {
        let word = first_to_last
            .rev()
            .fold(0, |word, slot| word << BITS_PER_SLOT | (slot.wrapping_add(1) & SLOT_MASK));
        Self(word)
    }
}

impl Iterator for Order {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        let slot = (self.0 & SLOT_MASK).wrapping_sub(1);
        self.0 >>= BITS_PER_SLOT;
        Some(slot)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn an_order_is_walked_first_to_last() {
        let order = Order::of([4usize, 0, 14].into_iter());
        assert_eq!(order.collect::<Vec<_>>(), [4, 0, 14]);
        assert_eq!(order.word(), 0xF15);
    }

    #[test]
    fn a_full_order_ends() {
        let all = 0..HANDLERS_PER_CLASS;
        assert_eq!(Order::of(all.clone()).collect::<Vec<_>>(), all.collect::<Vec<_>>());
    }

    #[test]
    fn an_empty_order_asks_nobody() {
        assert_eq!(Order::of(core::iter::empty()).next(), None);
    }
}
