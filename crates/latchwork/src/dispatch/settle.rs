// SPDX-License-Identifier: MIT OR Apache-2.0
//! Settling what is open before the outermost code of a CPU leaves: what NMIs on top have left to
//! it, and edges that this CPU had deferred.

use crate::{
    contract::{GrantKind, NmiContext, Platform, UnknownKind},
    cpu::PerCpu,
    edge::Edges,
    grant::{EdgesOnTop, Rings},
    nmi::Nmi,
    recovery::{PollOutcome, PollReason},
    time::{HandlerClock, Timestamp},
};

impl<P: Platform> Nmi<P> {
    /// Settles what can be settled, by one look at the tray. What NMIs leave there all the while
    /// waits for the next one. Own CPU, outermost, inside the read side.
    #[cold]
    pub(crate) fn settle(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock) {
        if !ctx.area.tray.is_empty() {
            self.settle_what_came_on_top(ctx, clock);
        }
        self.settle_deferred(ctx, clock);
    }

    /// Judges all edges that NMIs on top have left, by one poll: each of them came before it.
    fn settle_what_came_on_top(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock) {
        let mut edges = ctx.area.tray.take_edges();
        self.take_claims_on_top(ctx);
        let asks = ctx.area.tray.take_question();
        if edges.iter().any(|it| it.count != 0) {
            self.absorb_each(ctx, &mut edges);
        }
        if edges.iter().any(|it| it.count != 0) {
            self.settle_by_poll(ctx, clock, &mut edges);
        } else if asks {
            self.poll_for_no_edge(ctx, clock);
        }
    }

    /// Absorbs what can be absorbed, and leaves the rest.
    fn absorb_each(&self, ctx: &NmiContext<'_>, edges: &mut EdgesOnTop) {
        let oldest = edges.iter().find(|it| it.count != 0);
        let Some(as_of) = oldest.map(|it| it.edge.arrived) else { return };
        self.prepare_to_absorb(ctx, as_of);
        let mut absorbed = false;
        for it in edges {
            let left = self.absorb(ctx, *it);
            absorbed |= left != it.count;
            it.count = left;
        }
        if absorbed {
            self.owe_for_skipping(ctx);
        }
    }

    /// Asks the Platform handlers about edges that nothing here explains.
    fn settle_by_poll(
        &self,
        ctx: &NmiContext<'_>,
        clock: &mut HandlerClock,
        edges: &mut EdgesOnTop,
    ) {
        let mut rings = Rings::default();
        let asked = self.poll_platform(ctx, clock, &mut rings, PollReason::Edge);
        if rings.wants_more() {
            self.ask_again_later(ctx.cpu, ctx.area);
        }
        if rings.explain_an_edge() {
            if let Some(first) = edges.iter_mut().find(|it| it.count != 0) {
                first.count = first.count.saturating_sub(1);
                ctx.area.counters.record_absorbed(GrantKind::MachineWide, 1);
            }
            self.balance(ctx, &rings, 1, GrantKind::Collapsed, clock.now());
        }
        self.absorb_each(ctx, edges);
        for it in edges.iter_mut().filter(|it| it.count != 0) {
            if let PollOutcome::Busy(overlapped) = asked {
                it.count = ctx.area.deferred.defer(overlapped, *it);
                self.answer_for_edge(ctx.cpu, ctx.area);
            }
            if it.count != 0 {
                self.last_resort(ctx, *it, UnknownKind::Unexplained, clock);
            }
        }
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
    pub(super) fn settle_deferred(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock) {
        let deferred = &ctx.area.deferred;
        let now = Timestamp::from_ticks(ctx.arrived_ticks);
        let limits = self.limits();
        let mut is_prepared = false;
        while let Some(edges) = deferred.next_due(&self.core.recovery.polls, now, limits) {
            if !is_prepared {
                self.prepare_to_absorb(ctx, edges.edge.arrived);
                is_prepared = true;
            }
            let count = self.absorb(ctx, edges);
            if count != 0 {
                self.last_resort(ctx, Edges { count, ..edges }, UnknownKind::Deferred, clock);
            }
        }
    }

    /// Looks at what is unfinished, and notes that this CPU leaves the NMI that `arrived` then at
    /// `left`. A ring that came meanwhile waits in its latch, however long the NMI lasted, so the
    /// CPU adopts what was claimed since. Own CPU, outermost, inside the read side.
    #[cold]
    pub(crate) fn note_leave(&self, area: &PerCpu, arrived: Timestamp, left: Timestamp) {
        self.look_at_what_is_unfinished(area);
        self.adopt(area, arrived, left);
        area.ledger.note_leave(left, area.oldest_edge().is_none(), self.limits());
    }
}
