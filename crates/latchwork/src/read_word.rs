// SPDX-License-Identifier: MIT OR Apache-2.0
//! The read word: by it a CPU announces that it is inside the read side, from the beginning of a
//! dispatch to its end, and a remover learns that it left.
//!
//! `generation << 8 | depth`, in one word. Depth counts nested dispatches on this CPU; generation
//! grows by one each time the outermost one leaves. Two words would be unsound: an NMI between the
//! two updates would dispatch unannounced.
//!
//! # Orderings
//!
//! *Writers*: only the CPU that owns the word, in NMI context; and, while that CPU executes
//! nothing, the CPU that marks it offline. *Readers*: removers on any CPU.
//!
//! * `enter` is a read-modify-write followed by a full fence, whose partner is the fence that every
//!   remover executes between publishing an order (or a no-op function) and its first `observe`.
//!   In the total order of the two fences either the remover's comes second, and then it observes
//!   this CPU inside and waits, or it comes first, and then this CPU's loads after `enter` see what
//!   the remover published.
//! * `enter` must be a read-modify-write and not a load and a store even where a fence follows: a
//!   remover may read the word of a *later* dispatch and conclude from the generation that an
//!   earlier one is over. Only a read-modify-write carries the earlier `leave`'s Release on to it.
//! * `leave` is a Release store, paired with the Acquire in `observe`: what the handlers did
//!   happens before the removal returns. It needs no read-modify-write: an NMI between its load and
//!   its store is nested, so it leaves depth and generation as it found them.

use crate::primitive::{AtomicUsize, Ordering, const_unless_loom, fence_after_rmw};

const DEPTH_BITS: u32 = 8;
const DEPTH_MASK: usize = (1 << DEPTH_BITS) - 1;
const GENERATION_ONE: usize = 1 << DEPTH_BITS;

/// One CPU's announcement that it is inside dispatch.
#[derive(Debug)]
pub(crate) struct ReadWord(AtomicUsize);

/// Where a dispatch stands among those of its CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nesting {
    Outermost,
    /// Another dispatch, or a poll outside NMIs, is underneath.
    OnTop,
}

/// What a reader of another CPU's word saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observed(usize);

impl ReadWord {
    const_unless_loom! {
        pub(crate) fn new() -> Self { Self(AtomicUsize::new(0)) }
    }

    /// Announces a dispatch on this CPU, before it looks at any shared state. Returns where it
    /// stands among those of its CPU.
    #[inline(always)]
    pub(crate) fn enter(&self) -> Nesting {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        fence_after_rmw();
        if before & DEPTH_MASK == 0 { Nesting::Outermost } else { Nesting::OnTop }
    }

    /// Ends the innermost dispatch of this CPU.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        let word = self.0.load(Ordering::Relaxed);
        let outermost = word & DEPTH_MASK == 1;
        let left = word.wrapping_sub(1);
        let next = if outermost { left.wrapping_add(GENERATION_ONE) } else { left };
        self.0.store(next, Ordering::Release);
    }

    /// Ends every dispatch of a CPU that executes nothing any more, as its outermost `leave` would
    /// have. On another CPU.
    ///
    /// Release, for the same reason as in `leave`: what the handlers did happens before this, since
    /// the caller has seen it, and so before the removal returns. A word of depth 0 is left alone,
    /// so that its own `leave` stays what removers pair with.
    pub(crate) fn abandon(&self) {
        let word = self.0.load(Ordering::Relaxed);
        if word & DEPTH_MASK != 0 {
            let next = (word & !DEPTH_MASK).wrapping_add(GENERATION_ONE);
            self.0.store(next, Ordering::Release);
        }
    }

    /// Looks at the word from anywhere.
    #[inline(always)]
    pub(crate) fn observe(&self) -> Observed {
        Observed(self.0.load(Ordering::Acquire))
    }
}

impl Observed {
    /// How many dispatches, one on top of the other.
    pub(crate) const fn depth(self) -> usize {
        self.0 & DEPTH_MASK
    }

    /// How often the outermost one has left.
    pub(crate) const fn generation(self) -> usize {
        self.0 >> DEPTH_BITS
    }

    /// As a word; it is not 0 unless the CPU was outside.
    pub(crate) const fn word(self) -> usize {
        self.0
    }

    pub(crate) const fn from_word(word: usize) -> Self {
        Self(word)
    }

    /// Whether the CPU was in no dispatch.
    pub(crate) fn is_outside(self) -> bool {
        self.0 & DEPTH_MASK == 0
    }

    /// Whether the dispatch that `earlier` saw has ended, so that another generation runs.
    pub(crate) fn has_moved_since(self, earlier: Self) -> bool {
        self.generation() != earlier.generation()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_dispatch_is_told_from_the_next_across_the_wrap_of_the_generation() {
        let word = ReadWord(AtomicUsize::new(usize::MAX & !DEPTH_MASK));
        assert_eq!(word.enter(), Nesting::Outermost);
        let seen = word.observe();
        assert_eq!(word.enter(), Nesting::OnTop);
        word.leave();
        assert!(!word.observe().is_outside() && !word.observe().has_moved_since(seen));
        word.leave();
        assert!(word.observe().is_outside() && word.observe().has_moved_since(seen));
        word.enter();
        assert!(!word.observe().is_outside() && word.observe().has_moved_since(seen));
    }
}
