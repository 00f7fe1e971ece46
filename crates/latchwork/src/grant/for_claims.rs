// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the claims of a dispatch, or of a poll, leave open.

use super::claims::Claims;
use crate::{
    contract::{GrantKind, Platform},
    cpu::PerCpu,
    nmi::Nmi,
    time::Timestamp,
};

impl<P: Platform> Nmi<P> {
    /// Grants this CPU what its claims leave open: of `rings` rings, one brought it here if `edges` is 1.
    pub(crate) fn grant_for_claims(
        &self,
        area: &PerCpu,
        claims: &Claims,
        edges: usize,
        now: Timestamp,
    ) {
        let recovery = &self.core.recovery;
        let limits = self.limits();
        area.grants.adopt(&self.core.registry, &recovery.hot.machine_wide, now, limits);
        let deadline = now.after(limits.late());
        let late_deadline = deadline.later_of(now.after(limits.late_of(claims.late_us())));
        area.grants.extend(late_deadline, now, limits);
        let open = claims.rings().saturating_sub(edges);
        if open != 0 {
            let kind = if edges == 0 { GrantKind::OutsideNmi } else { GrantKind::Collapsed };
            area.grants.grant(kind, open, deadline, now, limits);
        }
        if claims.late_edges() != 0 {
            area.grants.grant(GrantKind::Late, claims.late_edges(), late_deadline, now, limits);
        }
        area.grants.note_claim(now, || limits);
    }
}
