// SPDX-License-Identifier: MIT OR Apache-2.0
//! Settling what is open before the outermost code of a CPU leaves: what NMIs on top have left to
//! it, and edges that this CPU had deferred.

use super::entry::Outcome;
use crate::{
    contract::{GrantKind, NmiContext, Platform, UnknownKind},
    cpu::PerCpu,
    edge::Edge,
    nmi::Nmi,
    time::{HandlerClock, Timestamp},
};

/// How often the outermost code looks at the tray again. What NMIs leave there all the while waits
/// for the next NMI or tick.
const LOOKS: usize = 2;

impl<P: Platform> Nmi<P> {
    /// Settles what can be settled. Own CPU, outermost, inside the read side.
    #[cold]
    pub(crate) fn settle(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock) {
        self.settle_deferred(ctx, clock);
        for _ in 0..LOOKS {
            if ctx.area.tray.is_empty() {
                break;
            }
            self.settle_what_came_on_top(ctx, clock);
        }
    }

    fn settle_what_came_on_top(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock) {
        let edges = ctx.area.tray.take_edges(self.now());
        self.take_claims_on_top(ctx);
        if ctx.area.tray.take_question() {
            self.poll_for_no_edge(ctx, clock);
        }
        for edge in edges.iter() {
            if self.explain_by_ring_or_poll(ctx, clock, &edge) == Outcome::Claimed {
                ctx.area.counters.record_absorbed(GrantKind::MachineWide);
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
        while let Some(edge) = deferred.next_due(&self.core.recovery.polls, now, limits) {
            self.judge(ctx, clock, &edge);
        }
    }

    fn judge(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock, edge: &Edge) {
        if !self.absorb(ctx, edge) {
            self.last_resort(ctx, edge, UnknownKind::Deferred, clock);
        }
    }

    /// Looks at what is unfinished, and notes that this CPU leaves the NMI that `arrived` then at
    /// `left`. A ring that came meanwhile waits in its latch, however long the NMI lasted, so the
    /// CPU adopts what was claimed since. Own CPU, outermost, inside the read side.
    #[cold]
    pub(crate) fn note_leave(&self, area: &PerCpu, arrived: Timestamp, left: Timestamp) {
        self.look_at_what_is_unfinished(area);
        self.adopt(area, arrived, left);
        area.ledger.note_leave(arrived, left, area.oldest_edge().is_none());
    }
}
