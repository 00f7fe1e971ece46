// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a CPU does once it is outside the read side: it calls the kernel. If several CPUs are to
//! end the kernel, only one of them does.
//!
//! It does so at the end of an NMI and nowhere else: parking needs NMI context, and a debugger the
//! frame. Where an NMI comes on top of code that is inside the read side, or that holds the writer
//! lock, what is due waits for the end of that code, which then has its CPU [take an NMI of its
//! own](Nmi::retry_after_leave). If the CPU cannot ring itself, it stays due for the next NMI, and
//! the tick tries again.

use super::panic_election::Elected;
use crate::{
    contract::{AfterLeave, NmiContext, Platform},
    cpu::PerCpu,
    nmi::Nmi,
};

impl<P: Platform> Nmi<P> {
    /// The CPU that [panics](AfterLeave::panic_on_unknown) in [`Platform::after_leave`] and has not
    /// returned from there. **NMI-safe.**
    ///
    /// It is for a kernel that may go on after a panic: a CPU for which `due` says
    /// [`panics_elsewhere`](AfterLeave::panics_elsewhere) waits until there is no such CPU.
    pub fn panicking_cpu(&self) -> Option<usize> {
        self.core.panic.elected()
    }

    /// Has this CPU take an NMI for what is due after leaving, if anything is. Own CPU, outside
    /// dispatch, with interrupts off. If that fails, this CPU keeps its tick, or gets it back.
    pub(crate) fn retry_after_leave(&self, cpu: usize, area: &PerCpu) {
        if area.own.has_after_leave() && !area.ring_itself(&self.platform, cpu) {
            self.answer_for_edge(cpu, area);
        }
    }

    /// Calls the platform for what is due once this CPU has left. At depth 0, in an NMI.
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
