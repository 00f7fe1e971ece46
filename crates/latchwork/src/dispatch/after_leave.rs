// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is done once a CPU is outside the read side: the kernel is told, and of several CPUs that
//! are to end it, one.

use super::panic_election::Elected;
use crate::{
    contract::{AfterLeave, NmiContext, Platform},
    nmi::Nmi,
};

impl<P: Platform> Nmi<P> {
    /// The CPU on which [`Platform::after_leave`] was told to
    /// [panic](AfterLeave::panic_on_unknown) and has not returned. **NMI-safe.**
    ///
    /// For a kernel that may go on after that: a CPU that
    /// [panics elsewhere](AfterLeave::panics_elsewhere) waits until there is none.
    pub fn panicking_cpu(&self) -> Option<usize> {
        self.core.panic.elected()
    }

    /// Calls the platform for what waited for this CPU to leave. At depth 0, in an NMI or not.
    pub(crate) fn after_leave(&self, ctx: &NmiContext<'_>, due: AfterLeave) {
        if !due.panic_on_unknown() {
            return self.platform.after_leave(ctx, due);
        }
        match self.core.panic.stand(ctx.cpu) {
            Elected::ThisOne => {
                self.platform.after_leave(ctx, due);
                self.core.panic.end();
            }
            Elected::ThisOneBefore => {
                if let Some(rest) = due.without_panic() {
                    self.platform.after_leave(ctx, rest);
                }
            }
            Elected::Another => self.platform.after_leave(ctx, due.with_panic_elsewhere()),
        }
    }
}
