// SPDX-License-Identifier: MIT OR Apache-2.0
//! The decision table: what a CPU may know of an edge, in the order in which dispatch asks.
//!
//! | what the CPU finds | the edge is | the CPU |
//! |---|---|---|
//! | a request, or a Local claim | claimed | balances its ledger; owes a poll |
//! | a ring that may still come | absorbed | takes that ring away; owes a poll |
//! | a Platform claim whose ring comes here | claimed | balances its ledger |
//! | the poll lock held by another CPU | deferred | judges it once a later poll is over |
//! | nothing | unknown | asks the Unknown handlers, and reports it |
//!
//! Edges that no claim explains are judged in the order in which they came: an edge takes no ring
//! while an older one waits. Else it might take that one's ring, and its own condition be claimed
//! only after the older edge has been called unknown.
//!
//! An NMI [on top](super::on_top) of other code of the library decides only the first row.

use super::entry::Outcome;
use crate::{
    contract::{
        AfterLeave, Claim, Class, GrantKind, NmiContext, Platform, Request, Requests, SourceMap,
        UnknownKind,
    },
    edge::{Edge, Edges},
    grant::{RingTarget, Rings},
    nmi::Nmi,
    recovery::{PollOutcome, PollReason},
    time::{HandlerClock, Timestamp},
};

/// The edge of an NMI.
pub(super) const fn edge_of(ctx: &NmiContext<'_>) -> Edge {
    let arrived = Timestamp::from_ticks(ctx.arrived_ticks);
    Edge { arrived, seen: arrived, ip: ctx.ip(), mode: ctx.mode() }
}

impl<P: Platform> Nmi<P> {
    /// Serves the requests and asks the Local handlers. Returns the rings that were claimed.
    #[inline(always)]
    pub(super) fn claim_locally(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock) -> Rings {
        let mut rings = Rings::of_sends(ctx.requests.total());
        if rings.explain_an_edge() {
            self.serve(ctx, ctx.requests);
        }
        self.ask_all(Class::Local, ctx, clock, |slot, _, claim| {
            rings.add(&slot.doorbell, RingTarget::ThisCpu);
            if claim == Claim::More {
                rings.set_wants_more();
            }
        });
        rings
    }

    #[inline]
    fn serve(&self, ctx: &NmiContext<'_>, requests: Requests) {
        ctx.area.counters.record_requests(requests.total());
        if requests.count(Request::Stop) != 0 {
            ctx.area.own.post_after_leave(AfterLeave::STOP);
        }
        self.platform.serve(ctx, requests);
    }

    /// Decides what the edge of this NMI is. The outermost dispatch calls it.
    #[inline(always)]
    pub(super) fn explain(
        &self,
        ctx: &NmiContext<'_>,
        clock: &mut HandlerClock,
        mut rings: Rings,
    ) -> Outcome {
        if !rings.explain_an_edge() {
            return self.explain_beyond_local(ctx, clock);
        }
        let asked = match self.must_ask_platform(ctx, clock) {
            Some(reason) => self.poll_platform(ctx, clock, &mut rings, reason),
            None => PollOutcome::Skipped,
        };
        if !asked.has_polled() {
            self.owe_for_skipping(ctx);
        }
        if self.has_nothing_to_balance(ctx, &rings) {
            ctx.area.ledger.note_claim(clock.now());
        } else {
            self.balance_claimed(ctx, clock, &rings);
        }
        if rings.wants_more() {
            self.ask_again_later(ctx.cpu, ctx.area);
        }
        Outcome::Claimed
    }

    /// Whether one ring brought this CPU here, which has come, and no other may still come.
    #[inline(always)]
    fn has_nothing_to_balance(&self, ctx: &NmiContext<'_>, rings: &Rings) -> bool {
        let ledger = &ctx.area.ledger;
        rings.is_single()
            && ledger.is_empty()
            && !ledger.has_unseen_claims(&self.core.recovery.hot.machine_wide)
            && (rings.sends() == 0 || ctx.area.unfinished_sends() == 0)
    }

    /// An edge that waited has its turn before the one that brought this CPU here.
    #[cold]
    fn balance_claimed(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock, rings: &Rings) {
        let now = clock.now();
        if !ctx.area.deferred.has_waiting() {
            return self.balance(ctx, rings, 1, GrantKind::Collapsed, now);
        }
        self.balance(ctx, rings, 0, GrantKind::Collapsed, now);
        self.settle_deferred(ctx, clock, now);
        self.balance(ctx, &Rings::default(), 1, GrantKind::Collapsed, now);
    }

    /// Handles an edge that nothing Local explains.
    #[cold]
    fn explain_beyond_local(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock) -> Outcome {
        if !ctx.area.ledger.is_empty() {
            self.look_at_what_is_unfinished(ctx.area);
        }
        let edge = edge_of(ctx);
        if self.must_ask_platform(ctx, clock).is_none() && self.absorb_in_turn(ctx, clock, &edge) {
            self.owe_for_skipping(ctx);
            return Outcome::Absorbed;
        }
        self.explain_by_poll(ctx, clock, &edge)
    }

    /// Asks the Platform handlers about an edge. If they do not explain it, a ring may, of a claim
    /// that another CPU has published meanwhile.
    fn explain_by_poll(
        &self,
        ctx: &NmiContext<'_>,
        clock: &mut HandlerClock,
        edge: &Edge,
    ) -> Outcome {
        let mut rings = Rings::default();
        let asked = self.poll_platform(ctx, clock, &mut rings, PollReason::Edge);
        if rings.wants_more() {
            self.ask_again_later(ctx.cpu, ctx.area);
        }
        if rings.explain_an_edge() {
            self.balance_claimed(ctx, clock, &rings);
            return Outcome::Claimed;
        }
        if self.absorb_in_turn(ctx, clock, edge) {
            return Outcome::Absorbed;
        }
        if let PollOutcome::Busy(overlapped) = asked {
            if ctx.area.deferred.defer(overlapped, Edges::one(*edge)) == 0 {
                self.answer_for_edge(ctx.cpu, ctx.area);
                return Outcome::Deferred;
            }
        }
        self.last_resort(ctx, &[Edges::one(*edge)], UnknownKind::Unexplained, clock)
    }

    /// Absorbs the edge of this NMI, if no older one waits, and if a ring may still come that it
    /// can have been.
    fn absorb_in_turn(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock, edge: &Edge) -> bool {
        let (deferred, now) = (&ctx.area.deferred, clock.now());
        if deferred.has_waiting() {
            self.settle_deferred(ctx, clock, now);
        }
        if deferred.has_waiting() {
            return false;
        }
        self.prepare_to_absorb(ctx, edge.arrived, now);
        self.absorb(ctx, &mut [Edges::one(*edge)], now)
    }

    /// Owes a poll: this CPU did not ask the Platform handlers, and the edge may be one of theirs
    /// as well.
    #[inline(always)]
    pub(super) fn owe_for_skipping(&self, ctx: &NmiContext<'_>) {
        let owed = self.core.recovery.hot.debt.owed();
        if owed.is_none() && !self.core.registry.order(Class::Platform).is_empty() {
            self.owe(ctx.cpu, ctx.area);
        }
    }

    /// Whether the Platform handlers must be asked whatever else explains the edge, and why.
    #[inline(always)]
    pub(super) fn must_ask_platform(
        &self,
        ctx: &NmiContext<'_>,
        clock: &HandlerClock,
    ) -> Option<PollReason> {
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
