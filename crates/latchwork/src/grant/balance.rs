// SPDX-License-Identifier: MIT OR Apache-2.0
//! The balance of a CPU: the rings that it claimed against the edges that it took.

use super::{
    adopt::AdoptAt,
    entry::{Due, Grant, Taken},
    held::Held,
    rings::Rings,
    tray::ClaimsOnTop,
};
use crate::{
    contract::{AbsorbedNmi, GrantKind, NmiContext, Platform},
    cpu::PerCpu,
    edge::{Edge, Edges},
    nmi::Nmi,
    primitive::{Ordering, fence},
    send_wait::UnfinishedSends,
    time::Timestamp,
};

impl<P: Platform> Nmi<P> {
    /// Adds the rings that this CPU claimed at `now`, as grants of `kind`, and takes one away for
    /// each of the `edges` that brought it to claim them. A ring that came since this NMI or poll
    /// arrived waits in the CPU's latch, however long ago that was.
    pub(crate) fn balance(
        &self,
        ctx: &NmiContext<'_>,
        rings: &Rings,
        edges: usize,
        kind: GrantKind,
        now: Timestamp,
    ) {
        self.adopt(ctx.area, Timestamp::from_ticks(ctx.arrived_ticks), now);
        self.book(ctx.area, rings, edges, kind, now, now);
    }

    /// As [`balance`](Self::balance), for a CPU that has just adopted what others claimed. The last
    /// of the rings was `claimed` then.
    fn book(
        &self,
        area: &PerCpu,
        rings: &Rings,
        edges: usize,
        kind: GrantKind,
        claimed: Timestamp,
        now: Timestamp,
    ) {
        let (ledger, limits) = (&area.ledger, self.limits());
        let mut held = ledger.begin(now, limits);
        held.drop_what_the_cap_ends(area.oldest_edge_or(now), limits);
        self.add_rings(area, &mut held, rings, kind, claimed, now);
        // There is a ring for each: the one that was claimed, or one that is due earlier.
        let _ = held.take(edges, now, now, limits);
        ledger.keep(&held, now, limits);
        ledger.note_claim(now);
    }

    /// Sends that finish while this CPU looks at them have rung before the clock is read.
    fn add_rings(
        &self,
        area: &PerCpu,
        held: &mut Held,
        rings: &Rings,
        kind: GrantKind,
        claimed: Timestamp,
        now: Timestamp,
    ) {
        let limits = self.limits();
        let mut have_rung = rings.of_doorbells().saturating_add(rings.sends());
        let (mut claimed, mut now) = (claimed, now);
        if rings.sends() != 0 {
            let unfinished = area.wait_for_unfinished_sends(self.core.cpus());
            now = self.now();
            claimed = now;
            if let Some(UnfinishedSends { count, wait }) = unfinished {
                let rings = count.min(rings.sends());
                have_rung = have_rung.saturating_sub(rings);
                held.add(Grant { kind, rings, due: Due::After { wait, taken: Some(now) } });
            }
        }
        let floor = area.ledger.floor(now, limits);
        let deadline = claimed.after(limits.late());
        held.add(Grant { kind, rings: have_rung, due: floor.due_if_late(deadline) });
        let late_deadline = deadline.later_of(claimed.after(limits.late_of(rings.late_us())));
        let due = floor.due_if_late(late_deadline);
        held.add(Grant { kind: GrantKind::Late, rings: rings.late_edges(), due });
    }

    /// Forgets what this CPU, which comes online, was granted before and had deferred. A send to it
    /// that is under way may still ring it, though its request is dropped.
    pub(crate) fn begin_with_an_empty_ledger(&self, area: &PerCpu) {
        let (now, limits) = (self.now(), self.limits());
        area.ledger.reset(now);
        let dropped = area.deferred.reset().saturating_add(area.tray.reset());
        area.counters.record_edges_dropped(dropped);
        let rings = PerCpu::sends_under_way(self.core.cpus()).min(area.unfinished_sends());
        if rings == 0 {
            return;
        }
        let wait = area.wait_for_what_is_under_way(self.core.cpus());
        let due = Due::After { wait, taken: Some(now) };
        area.ledger.add(Grant { kind: GrantKind::Collapsed, rings, due }, now, limits);
    }

    /// Takes what NMIs on top have claimed into the balance. Own CPU, outermost. The CPU has just
    /// adopted what others claimed.
    fn take_claims_on_top(&self, ctx: &NmiContext<'_>) {
        let claims = ctx.area.tray.take_claims();
        let ClaimsOnTop { edges, rings, .. } = claims;
        if edges != 0 || rings.explain_an_edge() {
            let now = self.now();
            let claimed = claims.claimed(now);
            self.book(ctx.area, &rings, edges, GrantKind::Collapsed, claimed, now);
        }
    }

    /// Adds the rings of claims that other CPUs have made, and that an edge which came `as_of` then
    /// may have been.
    pub(crate) fn adopt(&self, area: &PerCpu, as_of: Timestamp, now: Timestamp) {
        let as_of = area.oldest_edge_or(as_of);
        let under_way = || area.wait_for_what_is_under_way(self.core.cpus());
        let at = AdoptAt { as_of, now, limits: self.limits(), under_way: &under_way };
        let machine_wide = &self.core.recovery.hot.machine_wide;
        area.ledger.adopt(&self.core.registry, machine_wide, at);
    }

    /// Makes the ledger ready to absorb edges, of which the oldest came `as_of` then: it has the
    /// rings of all claims that were made before this CPU looked at the statuses. The outermost
    /// code.
    pub(crate) fn prepare_to_absorb(&self, ctx: &NmiContext<'_>, as_of: Timestamp, now: Timestamp) {
        // This CPU looked at the statuses before the claims. Partner: the fence in
        // `claim_outside_nmi`.
        fence(Ordering::Acquire);
        self.adopt(ctx.area, as_of, now);
        self.take_claims_on_top(ctx);
    }

    /// Absorbs those of the edges for which a ring may still come that they can have been, takes
    /// them out of `batch`, and reports them if that may hide something. Says whether there were
    /// any. The caller has [prepared](Self::prepare_to_absorb) it.
    pub(crate) fn absorb(&self, ctx: &NmiContext<'_>, batch: &mut [Edges], now: Timestamp) -> bool {
        let ledger = &ctx.area.ledger;
        if ledger.is_empty() {
            return false;
        }
        let limits = self.limits();
        let mut any = false;
        ledger.absorb(batch, now, limits, |edge, taken| {
            any = true;
            self.note_absorbed(ctx, edge, taken, now);
        });
        any
    }

    /// Counts edges that were absorbed, and reports them if that may hide something.
    fn note_absorbed(&self, ctx: &NmiContext<'_>, edge: &Edge, taken: Taken, now: Timestamp) {
        let limits = self.limits();
        let absorbable_ticks = ctx.area.ledger.absorbable_ticks(now);
        let mut last = GrantKind::Collapsed;
        for (kind, rings) in taken.by_kind() {
            ctx.area.counters.record_absorbed(kind, rings);
            last = kind;
        }
        let ledger = &ctx.area.ledger;
        let all = taken.all();
        let to_report = ledger.note_absorbed(all, edge.arrived, absorbable_ticks, limits);
        if let Some(absorbed) = to_report {
            self.platform.report_absorbed(&AbsorbedNmi {
                cpu: ctx.cpu,
                ip: edge.ip,
                mode: edge.mode,
                arrived_ticks: edge.arrived.ticks(),
                kind: last,
                absorbable_ticks: usize::try_from(absorbable_ticks).unwrap_or(usize::MAX),
                absorbed,
            });
        }
    }

    /// Looks at what rings without a deadline wait for. Own CPU, outermost.
    pub(crate) fn look_at_what_is_unfinished(&self, area: &PerCpu) {
        let ledger = &area.ledger;
        ledger.look_again(
            |wait| area.finish_waits(wait, self.core.cpus()),
            |now| ledger.claims_due(&self.core.registry, now, self.limits()),
            || self.now(),
            self.limits(),
        );
    }
}
