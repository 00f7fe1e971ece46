// SPDX-License-Identifier: MIT OR Apache-2.0
//! A poll: asking the Platform handlers, in an NMI or outside.

use super::{
    poll_lock::PollNumber,
    reason::{PollOutcome, PollReason},
};
use crate::{
    contract::{Claim, Class, NmiContext, Platform},
    cpu::PerCpu,
    grant::Rings,
    nmi::Nmi,
    registry::Slot,
    time::{HandlerClock, Timestamp},
};

/// A poll after which an edge still waits is followed by another, up to this many in all. The tick
/// pays what remains.
const POLLS_AT_ONCE: usize = 2;

impl<P: Platform> Nmi<P> {
    /// Asks the Platform handlers, unless another CPU is asking them. If
    /// there are none, no CPU is: so no CPU defers an edge that reaches all CPUs at the same time,
    /// such as a button's, for nothing. Inside the read side.
    ///
    /// A CPU that loses the lock and has an edge that may be theirs owes a poll: it does so here,
    /// if the edge is why it asks them. A tick that loses owes nothing: what it wanted to pay is
    /// paid, or still owed.
    pub(crate) fn poll_platform(
        &self,
        ctx: &NmiContext<'_>,
        clock: &mut HandlerClock,
        rings: &mut Rings,
        reason: PollReason,
    ) -> PollOutcome {
        if self.has_no_platform_handlers(ctx) {
            return PollOutcome::Nothing;
        }
        let first = self.begin_poll(ctx).or_else(|overlapped| {
            if reason == PollReason::Edge {
                self.owe_for_edge(ctx.cpu, ctx.area);
                // The lock's holder may have released it before it could see the debt. The present
                // holder began after the edge came, so its poll is the later one that settles the
                // edge.
                return self.begin_poll(ctx).map_err(|_| overlapped);
            }
            Err(overlapped)
        });
        let mut poll = match first {
            Ok(number) => number,
            Err(overlapped) => return PollOutcome::Busy(overlapped),
        };
        let mut claimed = self.poll_once(ctx, clock, rings, reason, poll);
        for _ in 1..POLLS_AT_ONCE {
            if !self.core.recovery.hot.debt.owed().is_some_and(|owed| owed.has_edge()) {
                break;
            }
            poll = match self.begin_poll(ctx) {
                Ok(number) => number,
                Err(_) => break,
            };
            rings.next_round();
            claimed |= self.poll_once(ctx, clock, rings, PollReason::Debt, poll);
        }
        if claimed { PollOutcome::Claimed } else { PollOutcome::Nothing }
    }

    /// There is no Platform handler. This pays what is owed, by a poll that asks no handler, so
    /// that the edges that wait for one are settled. But a CPU that registers a handler owes a poll
    /// *after* it has published it, so a CPU that takes that debt finds the handler.
    fn has_no_platform_handlers(&self, ctx: &NmiContext<'_>) -> bool {
        let nobody = || self.core.registry.order(Class::Platform).is_empty();
        if !nobody() {
            return false;
        }
        if self.core.recovery.hot.debt.owed().is_some() {
            if let Ok(number) = self.begin_poll(ctx) {
                self.core.recovery.polls.end(number);
            }
        }
        nobody()
    }

    /// Takes the debt, then the lock, then executes a full fence: see `debt` and `poll_lock`.
    fn begin_poll(&self, ctx: &NmiContext<'_>) -> Result<PollNumber, PollNumber> {
        let recovery = &self.core.recovery;
        let free = recovery.polls.check_free()?;
        let taken = recovery.hot.debt.take();
        let begun = recovery.polls.begin(free, ctx.cpu);
        if let (Err(_), Some(taken)) = (begun, taken) {
            self.make_debt(ctx.cpu, ctx.area, |debt| debt.put_back(taken));
        }
        begun
    }

    /// The holder of the poll lock calls it, after it has taken the debt, and then releases the
    /// lock. Where a handler wants more, this CPU owes another poll.
    fn poll_once(
        &self,
        ctx: &NmiContext<'_>,
        clock: &mut HandlerClock,
        rings: &mut Rings,
        reason: PollReason,
        number: PollNumber,
    ) -> bool {
        let recovery = &self.core.recovery;
        recovery.counters.count_poll(reason);
        let (mut claimed, mut wants_more) = (false, false);
        let arrived = Timestamp::from_ticks(ctx.arrived_ticks);
        // Claims of other CPUs are adopted by their own deadline, before one that is made here
        // publishes a later one.
        self.adopt(ctx.area, arrived, clock.now());
        self.ask_all(Class::Platform, ctx, clock, |slot, index, claim| {
            claimed = true;
            if reason != PollReason::Edge {
                recovery.counters.count_recovered();
            }
            rings.add(&slot.doorbell, ctx.area.ledger.routes.ring_target(index, arrived));
            if claim == Claim::More {
                rings.set_wants_more();
                wants_more = true;
            }
            self.publish_claim(slot, index, Some(ctx.area));
        });
        recovery.polls.end(number);
        if wants_more {
            // What was left belongs to the machine, and any CPU may look. Whoever takes a debt that
            // is there already begins its poll after the end of this one, and so asks again.
            self.owe(ctx.cpu, ctx.area);
        }
        claimed
    }

    /// Publishes a claim of each Platform handler, for a CPU that was stopped amid a poll: it may
    /// have consumed a condition and not have published that.
    pub(crate) fn publish_what_was_polled(&self) {
        for index in self.core.registry.order(Class::Platform) {
            if let Some(slot) = self.core.registry.slot(Class::Platform, index) {
                self.publish_claim(slot, index, None);
            }
        }
    }

    /// Publishes to the CPUs on the route of a Platform doorbell that its condition was claimed.
    /// `own` is the area of this CPU, if it grants itself what it needs.
    pub(crate) fn publish_claim(&self, slot: &Slot, index: usize, own: Option<&PerCpu>) {
        let limits = self.limits();
        let late_us = slot.doorbell.late_rings().us();
        let late = limits.late().max(limits.late_of(late_us));
        let rings = slot.doorbell.rings_of_a_claim();
        let now = self.now();
        if let Some(own) = own {
            own.ledger.saw_own_claim(index, rings);
        }
        let all = &self.core.recovery.hot.machine_wide;
        slot.published.publish(all, rings, now, now.after(late), limits);
    }
}
