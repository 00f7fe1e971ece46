// SPDX-License-Identifier: MIT OR Apache-2.0
//! An edge that neither a condition nor a grant explains.

use core::marker::PhantomData;

use super::{entry::Outcome, explain::edge_of, report_limiter::Due};
use crate::{
    contract::{
        AfterLeave, Class, Interrupted, NmiContext, Platform, Requests, UnknownKind, UnknownNmi,
        UnknownPolicy,
    },
    edge::Edges,
    nmi::Nmi,
    time::{HandlerClock, Timestamp},
};

impl<P: Platform> Nmi<P> {
    /// Calls edges unknown, unless an Unknown handler claims them, or they may be sends' that were
    /// written off. Returns what the last of them was. The outermost code.
    pub(super) fn last_resort(
        &self,
        ctx: &NmiContext<'_>,
        batch: &[Edges],
        kind: UnknownKind,
        clock: &mut HandlerClock,
    ) -> Outcome {
        let (ledger, now) = (&ctx.area.ledger, Timestamp::from_ticks(ctx.arrived_ticks));
        let all = batch.iter().fold(0, |sum: usize, it| sum.saturating_add(it.count));
        let mut late = match all == 0 || ledger.is_empty() {
            true => 0,
            false => ledger.take_late_sends(all, now, self.limits()),
        };
        let mut outcome = Outcome::Unknown;
        for &Edges { edge, count } in batch.iter().filter(|it| !it.is_none()) {
            let late_ones = late.min(count);
            late = late.saturating_sub(late_ones);
            let others = count.saturating_sub(late_ones);
            for (count, kind) in [(late_ones, UnknownKind::LateSend), (others, kind)] {
                if count != 0 {
                    outcome = self.ask_unknown_handlers(ctx, Edges { edge, count }, kind, clock);
                }
            }
        }
        outcome
    }

    /// Asks the Unknown handlers, and reports the edges as ones of `kind` if none of them claims
    /// them. Edges that share a record are asked about once: nobody could tell one from another.
    pub(super) fn ask_unknown_handlers(
        &self,
        ctx: &NmiContext<'_>,
        Edges { edge, count }: Edges,
        kind: UnknownKind,
        clock: &mut HandlerClock,
    ) -> Outcome {
        let mut claimed = false;
        let mut ask = |ctx: &NmiContext<'_>| {
            self.ask_all(Class::Unknown, ctx, clock, |_, _, _| claimed = true);
            if !claimed {
                self.count_and_report_unknown(ctx, count, kind, self.platform.now_ticks());
            }
        };
        if edge == edge_of(ctx) {
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

    /// Counts unknown edges and reports them. `now_ticks` is when they were found to be unknown:
    /// when the NMI or the tick arrived that found it. The limit on reports goes by that, since an
    /// edge that this CPU had deferred may be older than the last report.
    pub(super) fn count_and_report_unknown(
        &self,
        ctx: &NmiContext<'_>,
        edges: usize,
        kind: UnknownKind,
        now_ticks: u64,
    ) {
        let policy = self.core.policy();
        let panics = policy == UnknownPolicy::Panic && kind != UnknownKind::LateSend;
        let count = ctx.area.counters.record_unknown(edges);
        let ticks_per_ms = self.platform.ticks_per_ms();
        let due = if panics { Due::Now } else { Due::AtTheRate };
        let admitted = ctx.area.own.limiter.admit(edges, now_ticks, ticks_per_ms, due);
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
        self.watch_unclaimed(ctx, edges, now_ticks);
        if panics {
            ctx.area.own.post_after_leave(AfterLeave::PANIC_ON_UNKNOWN);
        }
    }
}
