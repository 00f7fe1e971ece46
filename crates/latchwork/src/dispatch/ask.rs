// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asking the handlers of a class.

use crate::{
    contract::{Claim, Class, NmiContext, Platform},
    cpu::PerCpu,
    nmi::Nmi,
    registry::Slot,
    time::HandlerClock,
};

impl<P: Platform> Nmi<P> {
    /// Asks every handler of a class, never stopping at a claim: one edge may stand for several
    /// conditions. Hands each claim to `claimed`, with the slot.
    #[inline(always)]
    pub(crate) fn ask_all(
        &self,
        class: Class,
        ctx: &NmiContext<'_>,
        clock: &mut HandlerClock,
        mut claimed: impl FnMut(&Slot, usize, Claim),
    ) {
        for index in self.core.registry.order(class) {
            let Some(slot) = self.core.registry.slot(class, index) else {
                continue;
            };
            // SAFETY: the caller entered the read side before `order` was loaded just above, and
            // leaves it after this call: `dispatch_on` and `inside_read_side` do.
            let claim = unsafe { slot.ask(ctx) };
            let ticks = clock.lap(self.platform.now_ticks());
            if let Some(counters) = ctx.area.slot_counters(class, index) {
                counters.record(claim, ticks);
            }
            if claim != Claim::None {
                claimed(slot, index, claim);
                let limit = slot.storm_above.get();
                self.watch_storm((ctx.cpu, ctx.area), (class, index), limit, clock.last_ticks);
            }
        }
    }

    /// Has this CPU ask its handlers again, in an NMI of its own, once it has run other code: a
    /// Local or Platform handler has stopped before it was through.
    #[cold]
    pub(crate) fn ask_again_later(&self, cpu: usize, area: &PerCpu) {
        area.duties.ask_again();
        self.platform.interrupt_for_work(cpu);
    }
}
