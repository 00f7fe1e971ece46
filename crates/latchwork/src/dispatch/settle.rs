// SPDX-License-Identifier: MIT OR Apache-2.0
//! Settling what is open before the outermost code of a CPU leaves: what NMIs on top have left to
//! it, and edges that this CPU had deferred.

use crate::{
    contract::{GrantKind, NmiContext, Platform, UnknownKind},
    cpu::PerCpu,
    edge::Batch,
    grant::Rings,
    nmi::Nmi,
    recovery::{PollOutcome, PollReason},
    time::{HandlerClock, Timestamp},
};

impl<P: Platform> Nmi<P> {
    /// Settles what can be settled, by one look at the tray. What NMIs leave there all the while
    /// waits for the next one. Own CPU, outermost, inside the read side.
    #[cold]
    pub(crate) fn settle(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock) {
        let now = self.now();
        self.settle_deferred(ctx, clock, now);
        if !ctx.area.tray.is_empty() {
            self.settle_what_came_on_top(ctx, clock, now);
        }
    }

    /// Judges all edges that NMIs on top have left, by one poll: each of them came before it.
    pub(crate) fn settle_what_came_on_top(
        &self,
        ctx: &NmiContext<'_>,
        clock: &mut HandlerClock,
        now: Timestamp,
    ) {
        let arrived = Timestamp::from_ticks(ctx.arrived_ticks);
        let mut batch = ctx.area.tray.take_edges(now);
        self.prepare_to_absorb(ctx, arrived, now);
        let asks = ctx.area.tray.take_question();
        let has_edges = batch.iter().any(|it| !it.is_none());
        let is_their_turn = has_edges && !ctx.area.deferred.has_waiting();
        if is_their_turn && self.absorb(ctx, &mut batch, now) {
            self.owe_for_skipping(ctx);
        }
        if batch.iter().any(|it| !it.is_none()) {
            self.settle_by_poll(ctx, clock, &mut batch, now);
        } else if asks {
            self.poll_for_no_edge(ctx, clock);
        }
    }

    /// Asks the Platform handlers about edges that nothing here explains.
    fn settle_by_poll(
        &self,
        ctx: &NmiContext<'_>,
        clock: &mut HandlerClock,
        batch: &mut Batch,
        now: Timestamp,
    ) {
        let mut rings = Rings::default();
        let asked = self.poll_platform(ctx, clock, &mut rings, PollReason::Edge);
        if rings.wants_more() {
            self.ask_again_later(ctx.cpu, ctx.area);
        }
        if rings.explain_an_edge() {
            if let Some(first) = batch.iter_mut().find(|it| !it.is_none()) {
                first.count = first.count.saturating_sub(1);
                ctx.area.counters.record_absorbed(GrantKind::MachineWide, 1);
            }
            self.balance(ctx, &rings, 1, GrantKind::Collapsed, clock.now());
        }
        self.settle_deferred(ctx, clock, now);
        if !ctx.area.deferred.has_waiting() {
            self.prepare_to_absorb(ctx, Timestamp::from_ticks(ctx.arrived_ticks), now);
            self.absorb(ctx, batch, now);
        }
        if let PollOutcome::Busy(overlapped) = asked {
            for edges in batch.iter_mut().filter(|it| !it.is_none()) {
                edges.count = ctx.area.deferred.defer(overlapped, *edges);
            }
            self.answer_for_edge(ctx.cpu, ctx.area);
        }
        self.last_resort(ctx, batch, UnknownKind::Unexplained, clock);
    }

    /// Has every edge judged that waits: this CPU is offline, and takes no further one. So it makes
    /// the later poll itself, as soon as another CPU's has ended. Own CPU, interrupts off.
    pub(crate) fn judge_what_waits(&'static self, cpu: usize, area: &PerCpu) {
        while area.has_open_edges() {
            self.poll_outside_nmi(cpu, area);
            if area.has_open_edges() {
                self.platform.relax();
            }
        }
    }

    /// Judges this CPU's deferred edges for which that is due: what the poll that an edge
    /// overlapped has claimed, and what the next one has, is published by now.
    pub(super) fn settle_deferred(
        &self,
        ctx: &NmiContext<'_>,
        clock: &mut HandlerClock,
        now: Timestamp,
    ) {
        let deferred = &ctx.area.deferred;
        let limits = self.limits();
        let mut due = deferred.take_due(&self.core.recovery.polls, now, limits);
        if let Some(oldest) = due.first().filter(|it| !it.is_none()) {
            self.prepare_to_absorb(ctx, oldest.edge.arrived, now);
            self.absorb(ctx, &mut due, now);
            self.last_resort(ctx, &due, UnknownKind::Deferred, clock);
        }
    }

    /// Looks at what is unfinished, and notes that this CPU leaves the NMI that `arrived` then at
    /// `left`. A ring that came meanwhile waits in its latch, however long the NMI lasted, so the
    /// CPU adopts what was claimed since. Own CPU, outermost, inside the read side.
    #[cold]
    pub(crate) fn note_leave(&self, area: &PerCpu, arrived: Timestamp, left: Timestamp) {
        self.look_at_what_is_unfinished(area);
        self.adopt(area, arrived, left);
        area.ledger.note_leave(arrived, left, area.oldest_edge().is_none(), self.limits());
    }
}
