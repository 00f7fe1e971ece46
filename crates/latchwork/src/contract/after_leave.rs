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
    const PANICS_ELSEWHERE: Self = Self(1 << 3);

    pub(crate) const fn from_word(word: usize) -> Self {
        Self(word)
    }

    pub(crate) const fn word(self) -> usize {
        self.0
    }

    /// What is left where this CPU is panicking already, if anything.
    pub(crate) const fn without_panic(self) -> Option<Self> {
        match self.0 & !Self::PANIC_ON_UNKNOWN.0 {
            0 => None,
            rest => Some(Self(rest)),
        }
    }

    /// The same, where another CPU panics: this one stops.
    pub(crate) const fn with_panic_elsewhere(self) -> Self {
        let rest = self.0 & !Self::PANIC_ON_UNKNOWN.0;
        Self(rest | Self::STOP.0 | Self::PANICS_ELSEWHERE.0)
    }

    /// A [`Request::Stop`](crate::Request::Stop) was taken, or another CPU
    /// [panics](Self::panics_elsewhere): park this CPU.
    #[must_use]
    pub const fn stop(self) -> bool {
        self.0 & Self::STOP.0 != 0
    }

    /// An NMI was unknown, the policy is to panic, and of all CPUs to which that happens at once
    /// this is the one that does. From here until [`after_leave`](crate::Platform::after_leave)
    /// returns, no other is told so.
    #[must_use]
    pub const fn panic_on_unknown(self) -> bool {
        self.0 & Self::PANIC_ON_UNKNOWN.0 != 0
    }

    /// An NMI was unknown here, the policy is to panic, and
    /// [another CPU](crate::Nmi::panicking_cpu) does so. [`stop`](Self::stop) holds as well: park,
    /// so that nothing here goes on while that CPU ends the kernel.
    ///
    /// A kernel that may go on afterwards lets this CPU go when it lets go of those that it
    /// stopped, or has it wait for no more than
    ///
    /// ```
    /// # use latchwork::*;
    /// # fn wait<P: Platform>(nmi: &'static Nmi<P>) {
    /// while nmi.panicking_cpu().is_some() {
    ///     core::hint::spin_loop();
    /// }
    /// # }
    /// ```
    #[must_use]
    pub const fn panics_elsewhere(self) -> bool {
        self.0 & Self::PANICS_ELSEWHERE.0 != 0
    }

    /// A handler called [`NmiContext::ask_after_leave`](crate::NmiContext::ask_after_leave).
    #[must_use]
    pub const fn handler_asked(self) -> bool {
        self.0 & Self::HANDLER_ASKED.0 != 0
    }
}
