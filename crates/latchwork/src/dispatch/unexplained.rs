// SPDX-License-Identifier: MIT OR Apache-2.0
//! An edge that neither a condition nor a grant explains.

use core::marker::PhantomData;

use super::{entry::Outcome, explain::edge_of, report_limiter::Due};
use crate::{
    contract::{
        AfterLeave, Class, Interrupted, NmiContext, Platform, Requests, UnknownKind, UnknownNmi,
        UnknownPolicy,
    },
    edge::Edge,
    nmi::Nmi,
    time::HandlerClock,
};

impl<P: Platform> Nmi<P> {
    /// Calls an edge unknown, unless an Unknown handler claims it, or it may be a send's that was
    /// written off. The outermost code.
    pub(super) fn last_resort(
        &self,
        ctx: &NmiContext<'_>,
        edge: &Edge,
        kind: UnknownKind,
        clock: &mut HandlerClock,
    ) -> Outcome {
        let kind = match ctx.area.ledger.take_late_send(edge.arrived) {
            true => UnknownKind::LateSend,
            false => kind,
        };
        self.ask_unknown_handlers(ctx, edge, kind, clock)
    }

    /// Asks the Unknown handlers, and reports the edge as one of `kind` if none of them claims it.
    pub(super) fn ask_unknown_handlers(
        &self,
        ctx: &NmiContext<'_>,
        edge: &Edge,
        kind: UnknownKind,
        clock: &mut HandlerClock,
    ) -> Outcome {
        let mut claimed = false;
        let mut ask = |ctx: &NmiContext<'_>| {
            self.ask_all(Class::Unknown, ctx, clock, |_, _, _| claimed = true);
            if !claimed {
                self.count_and_report_unknown(ctx, kind, self.platform.now_ticks());
            }
        };
        if *edge == edge_of(ctx) {
            ask(ctx);
        } else {
            let interrupted = Interrupted { ip: edge.ip, mode: edge.mode, ..Interrupted::NOWHERE };
            ask(&NmiContext {
                interrupted: &interrupted,
                arrived_ticks: edge.arrived.ticks(),
                requests: Requests::NONE,
                in_nmi: ctx.in_nmi,
                area: ctx.area,
                cpu: ctx.cpu,
                _this_cpu_only: PhantomData,
            });
        }
        if claimed { Outcome::Claimed } else { Outcome::Unknown }
    }

    /// Counts an unknown edge and reports it. `now_ticks` is when it was found to be unknown: when
    /// the NMI or the tick arrived that found it. The limit on reports goes by that, since an edge
    /// that this CPU had deferred may be older than the last report.
    pub(super) fn count_and_report_unknown(
        &self,
        ctx: &NmiContext<'_>,
        kind: UnknownKind,
        now_ticks: u64,
    ) {
        let policy = self.core.policy();
        let panics = policy == UnknownPolicy::Panic && kind != UnknownKind::LateSend;
        let count = ctx.area.counters.record_unknown();
        let ticks_per_ms = self.platform.ticks_per_ms();
        let due = if panics { Due::Now } else { Due::AtTheRate };
        let admitted = ctx.area.own.limiter.admit(now_ticks, ticks_per_ms, due);
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
