// SPDX-License-Identifier: MIT OR Apache-2.0
//! An edge that neither a condition nor a grant explains.

use super::{entry::Outcome, report_limiter::Due};
use crate::{
    contract::{AfterLeave, Class, NmiContext, Platform, UnknownKind, UnknownNmi, UnknownPolicy},
    nmi::Nmi,
    time::{HandlerClock, Timestamp},
};

impl<P: Platform> Nmi<P> {
    /// Asks the Unknown handlers, and reports the edge if none of them claims it.
    pub(crate) fn last_resort(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock) -> Outcome {
        let mut claimed = false;
        self.ask_all(Class::Unknown, ctx, clock, |_, _, _| claimed = true);
        if claimed {
            return Outcome::Claimed;
        }
        let limits = self.limits();
        let now = Timestamp::from_ticks(ctx.arrived_ticks);
        let kind = match ctx.area.grants.may_be_late_send(now, limits) {
            true => UnknownKind::LateSend,
            false => UnknownKind::Unexplained,
        };
        self.count_and_report_unknown(ctx, kind, ctx.arrived_ticks);
        Outcome::Unknown
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
