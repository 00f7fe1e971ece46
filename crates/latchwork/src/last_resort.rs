// SPDX-License-Identifier: MIT OR Apache-2.0
//! An edge that neither a condition nor a grant explains.

use core::marker::PhantomData;

use crate::{
    after_leave::AfterLeave,
    context::{Interrupted, NmiContext},
    dispatch::{HandlerClock, Outcome},
    grant::{Claims, GrantKind},
    handler::Class,
    moment::Moment,
    nmi::Nmi,
    platform::Platform,
    recovery::{
        Asked, Why,
        deferred::{Finding, Settled},
    },
    request::Requests,
    unknown::{UnknownKind, UnknownNmi, UnknownPolicy},
};

impl<P: Platform> Nmi<P> {
    /// Asks the Unknown handlers, and reports the edge if none of them claims it.
    pub(crate) fn last_resort(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock) -> Outcome {
        let mut claimed = false;
        self.ask_all(Class::Unknown, ctx, clock, |_, _, _| claimed = true);
        if claimed {
            return Outcome::Claimed;
        }
        let limits = self.core.shared.limits.on(&self.platform);
        let now = Moment::from_ticks(ctx.arrived_ticks);
        let kind = match ctx.area.grants.may_be_late_send(now, limits) {
            true => UnknownKind::LateSend,
            false => UnknownKind::Unexplained,
        };
        self.count_and_report_unknown(ctx, kind, ctx.arrived_ticks);
        Outcome::Unknown
    }

    /// Says of this CPU's deferred edges what they were, as far as it is known by now. Own CPU, inside the
    /// read side.
    #[cold]
    pub(crate) fn settle_deferred(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock) {
        /// Grants of claims made in no dispatch of this CPU. Others are for rings that came after the edge.
        const ELSEWHERE: [GrantKind; 2] = [GrantKind::MachineWide, GrantKind::OutsideNmi];
        let area = ctx.area;
        let outermost = !area.own.read.is_on_top();
        let polls = &self.core.shared.polls;
        area.deferred.settle(polls, outermost, |settled| match settled.finding {
            Finding::Claimed => {
                for _ in 0..self.absorb_each(ctx, settled.edges, &ELSEWHERE) {
                    area.counters.record_absorbed(GrantKind::MachineWide);
                }
            }
            Finding::NothingClaimed => {
                let left = self.absorb_each(ctx, settled.edges, &ELSEWHERE);
                self.give_up_on(ctx, left, &settled, clock);
            }
            Finding::WasOnTop => self.settle_what_was_on_top(ctx, &settled, clock),
        });
    }

    /// Absorbs as many of `edges` as are granted; returns how many are left.
    fn absorb_each(&self, ctx: &NmiContext<'_>, edges: usize, kinds: &[GrantKind]) -> usize {
        let absorbed = (0..edges).take_while(|_| self.absorb_by(ctx, kinds)).count();
        edges.saturating_sub(absorbed)
    }

    /// Where the grants do not suffice, another CPU may be just claiming what an edge was for. So this polls, and
    /// grants itself what that claims.
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
        match self.poll_platform(ctx, clock, &mut claims, Why::Edge) {
            Asked::Busy(overlapped) => {
                let deferred = &ctx.area.deferred;
                if deferred.defer(overlapped, left, settled.arrived, settled.ip) {
                    self.answer_for_edge(ctx.cpu, ctx.area);
                    return;
                }
            }
            Asked::Claimed => self.grant_for(ctx.area, &claims, 0, clock.now()),
            Asked::Nothing | Asked::Skipped => (),
        }
        if claims.want_more() {
            self.ask_again_later(ctx.cpu, ctx.area);
        }
        left = self.absorb_each(ctx, left, &GrantKind::ALL);
        self.give_up_on(ctx, left, settled, clock);
    }

    fn give_up_on(
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

    /// The ticks of a moment that lies before `now_ticks`.
    fn ticks_of(&self, moment: Moment, now_ticks: u64) -> u64 {
        now_ticks.wrapping_sub(Moment::from_ticks(now_ticks).since(moment) as u64)
    }

    /// `now_ticks`: when it was found, by an NMI or a tick that arrived then.
    fn count_and_report_unknown(&self, ctx: &NmiContext<'_>, kind: UnknownKind, now_ticks: u64) {
        let policy = self.core.policy();
        let panics = policy == UnknownPolicy::Panic && kind != UnknownKind::LateSend;
        let count = ctx.area.counters.record_unknown();
        let ticks_per_ms = self.platform.ticks_per_ms();
        let admitted = ctx.area.own.limiter.admit(ctx.arrived_ticks, ticks_per_ms, panics);
        if let Some(suppressed) = admitted {
            self.platform.report_unknown(&UnknownNmi {
                cpu: ctx.cpu,
                ip: ctx.ip(),
                sp: ctx.sp(),
                mode: ctx.mode(),
                arrived_ticks: ctx.arrived_ticks,
                sources: ctx.sources(),
                kind,
                count,
                suppressed,
                policy,
            });
        }
        self.watch_unclaimed(ctx, now_ticks);
        if panics {
            ctx.area.own.post_after_leave(AfterLeave::PANIC_ON_UNKNOWN);
        }
    }
}
