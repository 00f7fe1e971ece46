// SPDX-License-Identifier: MIT OR Apache-2.0
//! The balance of a CPU: the rings that it claimed against the edges that it took.

use super::{
    adopt::AdoptAt,
    entry::{Due, Grant},
    rings::Rings,
    tray::ClaimsOnTop,
};
use crate::{
    contract::{AbsorbedNmi, GrantKind, NmiContext, Platform},
    cpu::PerCpu,
    edge::Edge,
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
        let area = ctx.area;
        self.adopt(area, Timestamp::from_ticks(ctx.arrived_ticks), now);
        self.add_rings(area, rings, kind, now);
        let oldest = area.oldest_edge_or(now);
        for _ in 0..edges {
            // There is a ring for each: the one that was claimed, or one that is due earlier.
            let _ = area.ledger.take(now, now, oldest, now, self.limits());
        }
        area.ledger.note_claim(now);
    }

    /// Sends that finish while this CPU looks at them have rung before the clock is read.
    fn add_rings(&self, area: &PerCpu, rings: &Rings, kind: GrantKind, now: Timestamp) {
        let (limits, ledger) = (self.limits(), &area.ledger);
        let mut have_rung = rings.of_doorbells().saturating_add(rings.sends());
        let mut now = now;
        if rings.sends() != 0 {
            let unfinished = area.wait_for_unfinished_sends(self.core.cpus());
            now = self.now();
            if let Some(UnfinishedSends { count, wait }) = unfinished {
                let rings = count.min(rings.sends());
                have_rung = have_rung.saturating_sub(rings);
                let due = Due::After { wait, taken: Some(now) };
                ledger.add(Grant { kind, rings, due }, now, limits);
            }
        }
        let deadline = now.after(limits.late());
        let due = ledger.due_if_late(deadline, now, limits);
        ledger.add(Grant { kind, rings: have_rung, due }, now, limits);
        let late_deadline = deadline.later_of(now.after(limits.late_of(rings.late_us())));
        let due = ledger.due_if_late(late_deadline, now, limits);
        ledger.add(Grant { kind: GrantKind::Late, rings: rings.late_edges(), due }, now, limits);
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

    /// Takes what NMIs on top have claimed into the balance. Own CPU, outermost.
    pub(crate) fn take_claims_on_top(&self, ctx: &NmiContext<'_>) {
        let ClaimsOnTop { edges, rings } = ctx.area.tray.take_claims();
        if edges != 0 || rings.explain_an_edge() {
            self.balance(ctx, &rings, edges, GrantKind::Collapsed, self.now());
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

    /// Absorbs an edge, if a ring may still come that it can have been, and reports it if that may
    /// hide something.
    pub(crate) fn absorb(&self, ctx: &NmiContext<'_>, edge: &Edge) -> bool {
        let limits = self.limits();
        let now = Timestamp::from_ticks(ctx.arrived_ticks).later_of(edge.seen);
        // This CPU looked at the statuses before the claims. Partner: the fence in
        // `claim_outside_nmi`.
        fence(Ordering::Acquire);
        if !ctx.area.tray.is_empty() {
            self.take_claims_on_top(ctx);
        }
        if !ctx.area.ledger.is_empty() {
            self.look_at_what_is_unfinished(ctx.area);
        }
        self.adopt(ctx.area, edge.arrived, now);
        let ledger = &ctx.area.ledger;
        let absorbable_ticks = ledger.absorbable_ticks(now);
        let oldest = ctx.area.oldest_edge_or(edge.arrived);
        let Some(kind) = ledger.take(edge.arrived, edge.seen, oldest, now, limits) else {
            return false;
        };
        ctx.area.counters.record_absorbed(kind);
        let absorption = ledger.note_absorbed(kind, absorbable_ticks, now, limits);
        if let Some(absorbed) = absorption.to_report {
            self.platform.report_absorbed(&AbsorbedNmi {
                cpu: ctx.cpu,
                ip: edge.ip,
                mode: edge.mode,
                arrived_ticks: edge.arrived.ticks(),
                kind,
                absorbable_ticks: usize::try_from(absorbable_ticks).unwrap_or(usize::MAX),
                absorbed,
            });
        }
        true
    }

    /// Looks at what rings without a deadline wait for. Own CPU, outermost.
    pub(crate) fn look_at_what_is_unfinished(&self, area: &PerCpu) {
        let ledger = &area.ledger;
        ledger.look_again(
            |wait| area.have_sends_finished(wait, self.core.cpus()),
            |now| ledger.claims_due(&self.core.registry, now, self.limits()),
            || self.now(),
            self.limits(),
        );
    }
}
