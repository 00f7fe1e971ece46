// SPDX-License-Identifier: MIT OR Apache-2.0
//! What waits until a CPU is outside the read side: parking, the debugger, panic.
//!
//! A CPU that parked inside a handler would hold up every removal for as long as it is parked. So
//! nothing parks there: it is posted in a word of the CPU, and the dispatch that brings the depth
//! to 0 takes it. A nested dispatch leaves it to the outer one.

/// What [`Platform::after_leave`](crate::Platform::after_leave) is called for. At least one holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AfterLeave(usize);

impl AfterLeave {
    pub(crate) const STOP: Self = Self(1 << 0);
    pub(crate) const PANIC_ON_UNKNOWN: Self = Self(1 << 1);
    pub(crate) const HANDLER_ASKED: Self = Self(1 << 2);

    pub(crate) const fn from_word(word: usize) -> Self {
        Self(word)
    }

    pub(crate) const fn word(self) -> usize {
        self.0
    }

    /// A [`Request::Stop`](crate::Request::Stop) was taken: park this CPU.
    #[must_use]
    pub const fn stop(self) -> bool {
        self.0 & Self::STOP.0 != 0
    }

    /// An NMI was unknown and the policy is to panic.
    #[must_use]
    pub const fn panic_on_unknown(self) -> bool {
        self.0 & Self::PANIC_ON_UNKNOWN.0 != 0
    }

    /// A handler called [`NmiContext::ask_after_leave`](crate::NmiContext::ask_after_leave).
    #[must_use]
    pub const fn handler_asked(self) -> bool {
        self.0 & Self::HANDLER_ASKED.0 != 0
    }
}
