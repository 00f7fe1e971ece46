// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asking handlers, and settling edges, outside an NMI.

use super::reason::{PollOutcome, PollReason};
use crate::{
    contract::{GrantKind, Interrupted, NmiContext, Platform},
    cpu::PerCpu,
    grant::Rings,
    nmi::Nmi,
    time::HandlerClock,
};

impl<P: Platform> Nmi<P> {
    /// Asks the Platform handlers outside an NMI, with interrupts off.
    pub(crate) fn poll_outside_nmi(&'static self, cpu: usize, area: &PerCpu) {
        self.inside_read_side(cpu, area, |ctx, clock| self.poll_for_no_edge(ctx, clock));
    }

    /// Asks the Platform handlers, and adds the rings of what they claim: no edge brought this CPU
    /// here. Outermost, inside the read side.
    pub(crate) fn poll_for_no_edge(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock) {
        let mut rings = Rings::default();
        let asked = self.poll_platform(ctx, clock, &mut rings, PollReason::Debt);
        if asked == PollOutcome::Claimed {
            self.balance(ctx, &rings, 0, GrantKind::MachineWide, clock.now());
        }
        if rings.wants_more() {
            self.ask_again_later(ctx.cpu, ctx.area);
        }
    }

    /// Calls `act` inside the read side, outside an NMI, with interrupts off, so that removals wait
    /// for it; and then settles what NMIs on top have left, and edges that this CPU had deferred.
    ///
    /// What an NMI on top wants done after leaving waits until this has left, since no CPU may park
    /// or debug while a removal waits for it or while it holds the poll lock. Then the CPU rings
    /// itself for it: parking needs NMI context, and a debugger the frame.
    pub(crate) fn inside_read_side(
        &'static self,
        cpu: usize,
        area: &PerCpu,
        act: impl FnOnce(&NmiContext<'_>, &mut HandlerClock),
    ) {
        area.own.read.enter();
        let interrupted = Interrupted::NOWHERE;
        let ctx = NmiContext::outside_nmi(&interrupted, area, cpu, self.platform.now_ticks());
        let mut clock = HandlerClock::started_at(ctx.arrived_ticks);
        act(&ctx, &mut clock);
        if area.has_open_edges() {
            self.settle(&ctx, &mut clock);
        }
        area.own.read.leave();
        if area.has_open_edges() {
            self.answer_for_edge(cpu, area);
        }
        self.retry_after_leave(cpu, area);
    }

    /// Settles, in an NMI, what other NMIs on top have left after the last look, by so many looks
    /// at most. It leaves after each: what comes on top before that, it sees.
    #[cold]
    pub(crate) fn settle_after_leaving(&self, ctx: &NmiContext<'_>, looks: usize) {
        for _ in 0..looks {
            if ctx.area.tray.is_empty() {
                break;
            }
            ctx.area.own.read.enter();
            let mut clock = HandlerClock::started_at(self.platform.now_ticks());
            let now = clock.now();
            self.settle_what_came_on_top(ctx, &mut clock, now);
            ctx.area.own.read.leave();
        }
        if ctx.area.has_open_edges() {
            self.answer_for_edge(ctx.cpu, ctx.area);
        }
    }
}
