// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asking handlers, and settling edges, outside an NMI.

use super::reason::{PollOutcome, PollReason};
use crate::{
    contract::{Interrupted, NmiContext, Platform, Request},
    cpu::PerCpu,
    grant::{BroughtBy, Claims},
    nmi::Nmi,
    time::HandlerClock,
};

impl<P: Platform> Nmi<P> {
    /// Asks the Platform handlers outside an NMI, with interrupts off.
    pub(crate) fn poll_outside_nmi(&'static self, cpu: usize, area: &PerCpu) {
        self.inside_read_side(cpu, area, |ctx| {
            let mut clock = HandlerClock::started_at(ctx.arrived_ticks);
            let mut claims = Claims::default();
            let asked = self.poll_platform(ctx, &mut clock, &mut claims, PollReason::Debt);
            if asked == PollOutcome::Claimed {
                self.grant_for_claims(area, &claims, BroughtBy::Poll, clock.now());
            }
            if claims.wants_more() {
                self.ask_again_later(cpu, area);
            }
        });
    }

    /// Calls `act` inside the read side, outside an NMI, with interrupts off, so that removals wait
    /// for it; and then settles edges that this CPU had deferred.
    ///
    /// An NMI may come on top. What it wants done after leaving waits until this has left, since no
    /// CPU may park or debug while a removal waits for it or while it holds the poll lock. Then the
    /// CPU rings itself for it: parking needs NMI context, and a debugger the frame.
    pub(crate) fn inside_read_side(
        &'static self,
        cpu: usize,
        area: &PerCpu,
        act: impl FnOnce(&NmiContext<'_>),
    ) {
        area.own.read.enter();
        let interrupted = Interrupted::NOWHERE;
        let ctx = NmiContext::outside_nmi(&interrupted, area, cpu, self.platform.now_ticks());
        act(&ctx);
        if area.deferred.has_waiting() {
            self.settle_deferred(&ctx, &mut HandlerClock::started_at(ctx.arrived_ticks));
        }
        let outermost = area.own.read.leave();
        if outermost && area.deferred.has_waiting() {
            self.answer_for_edge(cpu, area);
        }
        if outermost && area.own.has_after_leave() {
            if self.send(cpu, Request::Again).is_ok() {
                return;
            }
            if let Some(due) = area.own.take_after_leave() {
                self.after_leave(&ctx, due);
            }
        }
    }
}
