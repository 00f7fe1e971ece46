// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a CPU does once it is outside the read side: it parks, enters a debugger or panics.
//!
//! A CPU that parked inside a handler would hold up every removal for as long as it stays parked.
//! So a request or a handler only posts what is due, in a word of its CPU. The dispatch that brings
//! the nesting depth of that CPU to 0 takes the word and calls the kernel. A nested dispatch leaves
//! it to the outermost one.

/// Why the library calls [`Platform::after_leave`](crate::Platform::after_leave). At least one of
/// the reasons holds.
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

    /// The reasons that remain if this CPU is panicking already; `None` if none remains.
    pub(crate) const fn without_panic(self) -> Option<Self> {
        match self.0 & !Self::PANIC_ON_UNKNOWN.0 {
            0 => None,
            rest => Some(Self(rest)),
        }
    }

    /// The reasons as they stand where another CPU panics: this CPU stops instead.
    pub(crate) const fn with_panic_elsewhere(self) -> Self {
        let rest = self.0 & !Self::PANIC_ON_UNKNOWN.0;
        Self(rest | Self::STOP.0 | Self::PANICS_ELSEWHERE.0)
    }

    /// This CPU took a [`Request::Stop`](crate::Request::Stop), or another CPU
    /// [panics](Self::panics_elsewhere): park this CPU.
    #[must_use]
    pub const fn stop(self) -> bool {
        self.0 & Self::STOP.0 != 0
    }

    /// This CPU took an NMI that nothing explains, the policy is to panic, and of all CPUs on which
    /// that happens at the same time the library has elected this one. It elects no other until
    /// [`after_leave`](crate::Platform::after_leave) has returned here.
    #[must_use]
    pub const fn panic_on_unknown(self) -> bool {
        self.0 & Self::PANIC_ON_UNKNOWN.0 != 0
    }

    /// This CPU took an NMI that nothing explains, the policy is to panic, and [another
    /// CPU](crate::Nmi::panicking_cpu) does so. [`stop`](Self::stop) holds as well: park this CPU,
    /// so that it does nothing while the other CPU ends the kernel.
    ///
    /// A kernel that may go on afterwards releases this CPU together with the CPUs that it has
    /// stopped. Or this CPU waits for no longer than this loop does:
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
