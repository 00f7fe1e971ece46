// SPDX-License-Identifier: MIT OR Apache-2.0
//! The send word: by it a CPU announces that it is in a send.
//!
//! It is a [`ReadWord`] of its own: depth counts the sends that NMIs nest, and generation grows by
//! one each time the lowest ends. So whoever waits for the sends that are under way looks at one
//! word of each CPU, and waits for those whose depth is not 0, until it is or the generation moves.
//! A CPU that dies in a send leaves nothing uncertain: whoever marks it offline ends its sends.
//!
//! The orderings are those of the read word. The fence of `begin` has its partners in
//! [`Nmi::go_offline`](crate::Nmi::go_offline) and
//! [`Nmi::mark_offline`](crate::Nmi::mark_offline): a sender sees its target offline, or that CPU
//! sees the send. Whoever sees that a send has ended sees its ring made and counted.

use crate::{
    primitive::const_unless_loom,
    read_word::{Observed, ReadWord},
};

/// One CPU's announcement that it is in a send.
#[derive(Debug)]
pub(crate) struct SendWord(ReadWord);

impl SendWord {
    const_unless_loom! {
        pub(crate) fn new() -> Self { Self(ReadWord::new()) }
    }

    /// Own CPU, with interrupts off, before it looks whether the target is online.
    pub(crate) fn begin(&self) {
        self.0.enter();
    }

    /// Own CPU, after the ring was made and counted.
    pub(crate) fn end(&self) {
        self.0.leave();
    }

    /// Ends every send of a CPU that executes nothing any more. On another CPU, which has seen all
    /// that the stopped one did. Returns whether there was one.
    pub(crate) fn abandon(&self) -> bool {
        let was_sending = !self.observe().is_outside();
        self.0.abandon();
        was_sending
    }

    pub(super) fn observe(&self) -> Observed {
        self.0.observe()
    }
}
