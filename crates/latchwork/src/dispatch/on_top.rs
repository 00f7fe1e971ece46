// SPDX-License-Identifier: MIT OR Apache-2.0
//! An NMI on top of other code of the library on its CPU: a dispatch that something re-opened to
//! NMIs, or a poll outside NMIs.
//!
//! It serves its requests and asks the Local handlers. The rest it leaves in the
//! [tray](crate::grant): the code underneath may have consumed the condition of its edge and not
//! have added the ring yet.
//!
//! It does not wait for ever: if edges have come on top of the same code for longer than the cap,
//! and wait in the tray, that code is stuck, and each further edge is called unknown immediately.

use super::{entry::Outcome, explain::edge_of};
use crate::{
    contract::{NmiContext, Platform, UnknownKind},
    edge::Edges,
    grant::Rings,
    nmi::Nmi,
    time::HandlerClock,
};

impl<P: Platform> Nmi<P> {
    #[cold]
    pub(super) fn leave_to_outermost(
        &self,
        ctx: &NmiContext<'_>,
        clock: &mut HandlerClock,
        rings: Rings,
    ) -> Outcome {
        let tray = &ctx.area.tray;
        if self.must_ask_platform(ctx, clock).is_some() {
            tray.leave_question();
        }
        if rings.explain_an_edge() {
            tray.leave_claims(&rings, || self.now());
            self.owe_for_skipping(ctx);
            if rings.wants_more() {
                self.ask_again_later(ctx.cpu, ctx.area);
            }
            return Outcome::Claimed;
        }
        let edge = edge_of(ctx);
        let generation = ctx.area.own.read.observe().generation();
        let is_stuck = tray.has_waited(generation, self.limits().cap(), edge.arrived);
        if is_stuck || !tray.leave_edge(&edge) {
            return self.ask_unknown_handlers(ctx, Edges::one(edge), UnknownKind::Deferred, clock);
        }
        Outcome::Deferred
    }
}
