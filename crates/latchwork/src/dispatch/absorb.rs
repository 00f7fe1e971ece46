// SPDX-License-Identifier: MIT OR Apache-2.0
//! Explaining an edge by a grant.

use crate::{
    contract::{AbsorbedNmi, GrantKind, NmiContext, Platform},
    nmi::Nmi,
    primitive::{Ordering, fence},
    time::Timestamp,
};

impl<P: Platform> Nmi<P> {
    /// Absorbs the edge if a grant is live, and reports it if that may hide something.
    pub(crate) fn absorb(&self, ctx: &NmiContext<'_>) -> bool {
        self.absorb_by_kinds(ctx, &GrantKind::ALL)
    }

    /// Absorbs the edge if a grant of one of these kinds is live, and reports it likewise.
    pub(crate) fn absorb_by_kinds(&self, ctx: &NmiContext<'_>, kinds: &[GrantKind]) -> bool {
        let recovery = &self.core.recovery;
        let limits = self.limits();
        let now = Timestamp::from_ticks(ctx.arrived_ticks);
        let grants = &ctx.area.grants;
        // This CPU looked at the statuses before the claims. Partner: the fence in
        // `claim_outside_nmi`.
        fence(Ordering::Acquire);
        grants.adopt(&self.core.registry, &recovery.hot.machine_wide, now, limits);
        let Some(absorption) = grants.absorb(kinds, now, limits) else {
            return false;
        };
        ctx.area.counters.record_absorbed(absorption.kind);
        if let Some(absorbed) = absorption.to_report {
            self.platform.report_absorbed(&AbsorbedNmi {
                cpu: ctx.cpu,
                ip: ctx.ip(),
                mode: ctx.mode(),
                arrived_ticks: ctx.arrived_ticks,
                kind: absorption.kind,
                absorbable_ticks: absorption.absorbable_ticks,
                absorbed,
            });
        }
        true
    }
}
