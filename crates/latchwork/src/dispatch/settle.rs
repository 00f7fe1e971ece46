// SPDX-License-Identifier: MIT OR Apache-2.0
//! Settling deferred edges, once it is known what they were.

use core::marker::PhantomData;

use crate::{
    contract::{Class, GrantKind, Interrupted, NmiContext, Platform, Requests, UnknownKind},
    grant::{BroughtBy, Claims},
    nmi::Nmi,
    recovery::{Finding, PollOutcome, PollReason, Settled},
    time::{HandlerClock, Timestamp},
};

impl<P: Platform> Nmi<P> {
    /// Settles this CPU's deferred edges, as far as it is known by now what they were. Own CPU,
    /// inside the read side.
    #[cold]
    pub(crate) fn settle_deferred(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock) {
        /// Grants of claims that no dispatch of this CPU made. Other grants are for rings that came
        /// after the edge.
        const ELSEWHERE: [GrantKind; 2] = [GrantKind::MachineWide, GrantKind::OutsideNmi];
        let area = ctx.area;
        let nesting = area.own.read.nesting();
        let polls = &self.core.recovery.polls;
        area.deferred.settle(polls, nesting, |settled| match settled.finding {
            Finding::Claimed => {
                for _ in 0..self.absorb_each(ctx, settled.edges, &ELSEWHERE) {
                    area.counters.record_absorbed(GrantKind::MachineWide);
                }
            }
            Finding::NothingClaimed => {
                let left = self.absorb_each(ctx, settled.edges, &ELSEWHERE);
                self.report_as_unknown(ctx, left, &settled, clock);
            }
            Finding::WasOnTop => self.settle_what_was_on_top(ctx, &settled, clock),
        });
    }

    /// Absorbs as many of `edges` as are granted; returns how many are left.
    fn absorb_each(&self, ctx: &NmiContext<'_>, edges: usize, kinds: &[GrantKind]) -> usize {
        let absorbed = (0..edges).take_while(|_| self.absorb_by_kinds(ctx, kinds)).count();
        edges.saturating_sub(absorbed)
    }

    /// Settles edges that came on top of another dispatch. If the grants do not suffice, another
    /// CPU may just be claiming what an edge was for. So this CPU polls, and grants itself what
    /// that poll claims.
    fn settle_what_was_on_top(
        &self,
        ctx: &NmiContext<'_>,
        settled: &Settled,
        clock: &mut HandlerClock,
    ) {
        let mut left = self.absorb_each(ctx, settled.edges, &GrantKind::ALL);
        if left == 0 {
            return;
        }
        let mut claims = Claims::default();
        match self.poll_platform(ctx, clock, &mut claims, PollReason::Edge) {
            PollOutcome::Busy(overlapped) => {
                let deferred = &ctx.area.deferred;
                if deferred.defer(overlapped, left, settled.arrived, settled.ip) {
                    self.answer_for_edge(ctx.cpu, ctx.area);
                    return;
                }
            }
            PollOutcome::Claimed => {
                self.grant_for_claims(ctx.area, &claims, BroughtBy::Poll, clock.now())
            }
            PollOutcome::Nothing | PollOutcome::Skipped => (),
        }
        if claims.wants_more() {
            self.ask_again_later(ctx.cpu, ctx.area);
        }
        left = self.absorb_each(ctx, left, &GrantKind::ALL);
        self.report_as_unknown(ctx, left, settled, clock);
    }

    fn report_as_unknown(
        &self,
        ctx: &NmiContext<'_>,
        edges: usize,
        settled: &Settled,
        clock: &mut HandlerClock,
    ) {
        let interrupted = Interrupted { ip: settled.ip, ..Interrupted::NOWHERE };
        let back_then = NmiContext {
            interrupted: &interrupted,
            arrived_ticks: self.ticks_of(settled.arrived, ctx.arrived_ticks),
            requests: Requests::NONE,
            area: ctx.area,
            cpu: ctx.cpu,
            _this_cpu_only: PhantomData,
        };
        for _ in 0..edges {
            let mut claimed = false;
            self.ask_all(Class::Unknown, &back_then, clock, |_, _, _| claimed = true);
            if !claimed {
                let now_ticks = ctx.arrived_ticks;
                self.count_and_report_unknown(&back_then, UnknownKind::Deferred, now_ticks);
            }
        }
    }

    /// The ticks of a timestamp that lies before `now_ticks`.
    fn ticks_of(&self, past: Timestamp, now_ticks: u64) -> u64 {
        now_ticks.wrapping_sub(Timestamp::from_ticks(now_ticks).since(past) as u64)
    }
}
