// SPDX-License-Identifier: MIT OR Apache-2.0
//! Granting what the claims of a dispatch, or of a poll, leave open.
//!
//! Rule: as many edges as rings were claimed, less the one that brought the CPU here.

use super::claims::Claims;
use crate::{
    contract::{GrantKind, Platform},
    cpu::PerCpu,
    nmi::Nmi,
    time::Timestamp,
};

/// What made a CPU ask its handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BroughtBy {
    /// One of the rings that were claimed.
    Ring,
    /// None of them: a poll outside an NMI, or for edges that came before.
    Poll,
}

impl<P: Platform> Nmi<P> {
    /// Grants this CPU what its claims leave open: the rings that were claimed, less the one that
    /// brought it here.
    pub(crate) fn grant_for_claims(
        &self,
        area: &PerCpu,
        claims: &Claims,
        brought_by: BroughtBy,
        now: Timestamp,
    ) {
        let recovery = &self.core.recovery;
        let limits = self.limits();
        area.grants.adopt(&self.core.registry, &recovery.hot.machine_wide, now, limits);
        let deadline = now.after(limits.late());
        let late_deadline = deadline.later_of(now.after(limits.late_of(claims.late_us())));
        area.grants.extend(late_deadline, now, limits);
        let (kind, open) = match brought_by {
            BroughtBy::Ring => (GrantKind::Collapsed, claims.rings().saturating_sub(1)),
            BroughtBy::Poll => (GrantKind::OutsideNmi, claims.rings()),
        };
        if open != 0 {
            area.grants.grant(kind, open, deadline, now, limits);
        }
        if claims.late_edges() != 0 {
            area.grants.grant(GrantKind::Late, claims.late_edges(), late_deadline, now, limits);
        }
        area.grants.note_claim(now, || limits);
    }
}
