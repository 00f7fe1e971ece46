// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may explain an edge, in the order in which dispatch tries it.

use super::entry::Outcome;
use crate::{
    contract::{AfterLeave, Claim, Class, NmiContext, Platform, Request, Requests, SourceMap},
    grant::{BroughtBy, Claims, RingTarget},
    nmi::Nmi,
    recovery::{PollNumber, PollOutcome, PollReason},
    time::{HandlerClock, Timestamp},
};

impl<P: Platform> Nmi<P> {
    /// Tries whatever may explain the edge, in the order of its cost.
    #[inline(always)]
    pub(super) fn explain(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock) -> Outcome {
        let mut claims = Claims::of_sends(ctx.requests.total());
        if claims.has_any() {
            self.serve(ctx, ctx.requests);
        }
        self.ask_all(Class::Local, ctx, clock, |slot, _, claim| {
            claims.add(&slot.doorbell, RingTarget::ThisCpu);
            if claim == Claim::More {
                claims.set_wants_more();
            }
        });
        if !claims.has_any() {
            return self.explain_beyond_local(ctx, clock, claims);
        }
        let asked = match self.must_ask_platform(ctx, clock) {
            Some(reason) => self.poll_platform(ctx, clock, &mut claims, reason),
            None => PollOutcome::Skipped,
        };
        if !asked.has_polled() {
            self.owe_for_skipping(ctx);
        }
        self.grant_what_is_open(ctx, clock, &claims);
        Outcome::Claimed
    }

    #[inline]
    fn serve(&self, ctx: &NmiContext<'_>, requests: Requests) {
        ctx.area.counters.record_requests(requests.total());
        let arrived = Timestamp::from_ticks(ctx.arrived_ticks);
        ctx.area.grants.hold_for(ctx.area.unfinished_sends(), arrived);
        if requests.count(Request::Stop) != 0 {
            ctx.area.own.post_after_leave(AfterLeave::STOP);
        }
        self.platform.serve(ctx, requests);
    }

    /// Handles an edge that nothing Local explains.
    #[cold]
    fn explain_beyond_local(
        &self,
        ctx: &NmiContext<'_>,
        clock: &mut HandlerClock,
        mut claims: Claims,
    ) -> Outcome {
        // What is granted there may be for the edge underneath.
        let on_top = ctx.area.own.read.is_on_top();
        if ctx.area.deferred.has_waiting() && !on_top {
            self.settle_deferred(ctx, clock);
        }
        let must_ask = self.must_ask_platform(ctx, clock);
        if must_ask.is_none() && !on_top && self.absorb(ctx) {
            self.owe_for_skipping(ctx);
            return Outcome::Absorbed;
        }
        match self.poll_platform(ctx, clock, &mut claims, PollReason::Edge) {
            PollOutcome::Claimed => {
                self.grant_what_is_open(ctx, clock, &claims);
                Outcome::Claimed
            }
            _ if on_top && self.leave_to_outermost(ctx) => Outcome::Deferred,
            _ if self.absorb(ctx) => Outcome::Absorbed,
            PollOutcome::Busy(overlapped) if self.defer(ctx, overlapped) => Outcome::Deferred,
            _ => self.last_resort(ctx, clock),
        }
    }

    fn leave_to_outermost(&self, ctx: &NmiContext<'_>) -> bool {
        let arrived = Timestamp::from_ticks(ctx.arrived_ticks);
        ctx.area.deferred.leave_to_outermost(arrived, ctx.ip())
    }

    fn defer(&self, ctx: &NmiContext<'_>, overlapped: PollNumber) -> bool {
        let arrived = Timestamp::from_ticks(ctx.arrived_ticks);
        let noted = ctx.area.deferred.defer(overlapped, 1, arrived, ctx.ip());
        if noted {
            self.answer_for_edge(ctx.cpu, ctx.area);
        }
        noted
    }

    /// Owes a poll: this CPU did not ask the Platform handlers, and the edge may be one of theirs
    /// as well.
    #[inline(always)]
    fn owe_for_skipping(&self, ctx: &NmiContext<'_>) {
        let owed = self.core.recovery.hot.debt.owed();
        if owed.is_none() && !self.core.registry.order(Class::Platform).is_empty() {
            self.owe(ctx.cpu, ctx.area);
        }
    }

    /// Something was claimed: grants what that leaves open, and makes the present grants last as
    /// long.
    #[inline(always)]
    fn grant_what_is_open(&self, ctx: &NmiContext<'_>, clock: &HandlerClock, claims: &Claims) {
        let grants = &ctx.area.grants;
        if !claims.is_single_ring()
            || !grants.is_empty()
            || grants.has_unseen_claims(&self.core.recovery.hot.machine_wide)
        {
            self.grant_in_nmi(ctx, clock, claims);
        } else {
            grants.note_claim(clock.now(), || self.limits());
        }
        if claims.wants_more() {
            self.ask_again_later(ctx.cpu, ctx.area);
        }
    }

    #[cold]
    fn grant_in_nmi(&self, ctx: &NmiContext<'_>, clock: &HandlerClock, claims: &Claims) {
        self.grant_for_claims(ctx.area, claims, BroughtBy::Ring, clock.now());
    }

    /// Whether the Platform handlers must be asked whatever else explains the edge, and why.
    #[inline(always)]
    fn must_ask_platform(&self, ctx: &NmiContext<'_>, clock: &HandlerClock) -> Option<PollReason> {
        if ctx.requests.count(Request::Probe) != 0 {
            return Some(PollReason::Debt);
        }
        if ctx.sources().is_some_and(SourceMap::may_be_platform) {
            return Some(PollReason::Edge);
        }
        let recovery = &self.core.recovery;
        let owed = recovery.hot.debt.owed()?;
        let limits = self.limits();
        let overdue = limits.overdue();
        owed.is_older_than(overdue, clock.now(), overdue).then_some(PollReason::Overdue)
    }
}
