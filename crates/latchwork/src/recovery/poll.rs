// SPDX-License-Identifier: MIT OR Apache-2.0
//! A poll: asking the Platform handlers, in an NMI or outside.

use super::poll_lock::PollNumber;
use crate::{
    context::{Interrupted, NmiContext},
    cpu::PerCpu,
    dispatch::HandlerClock,
    grant::{Claims, GrantKind},
    handler::{Claim, Class},
    moment::Moment,
    nmi::Nmi,
    platform::Platform,
    request::Request,
    slot::Slot,
};

/// Why the Platform handlers are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// An edge that nothing else explains, or that says itself that it is machine-wide.
    Edge,
    /// A probe, or a tick.
    Debt,
    /// A debt that is overdue.
    Overdue,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Something was claimed.
    Claimed,
    /// Nothing was.
    Nothing,
    /// Somebody else is at it, in the poll of that number.
    Busy(PollNumber),
    /// Nobody asked them.
    Skipped,
}

impl Asked {
    /// Whatever was there has been looked at.
    pub(crate) const fn has_asked(self) -> bool {
        matches!(self, Self::Claimed | Self::Nothing)
    }
}

/// A poll after which an edge still waits is followed by another, up to this many in all. The tick pays
/// what remains.
const POLLS_AT_ONCE: usize = 2;

impl<P: Platform> Nmi<P> {
    /// Asks the Platform handlers, unless another CPU, or this one underneath, is at it. Where there are
    /// none, nobody is: an edge that reaches all CPUs at once, such as a button's, is not deferred for
    /// nothing. Inside the read side.
    ///
    /// Who loses and has an edge that may be theirs owes a poll: here, if that is why they are asked. A tick that
    /// loses owes nothing: what it wanted to pay is paid, or still owed.
    pub(crate) fn poll_platform(
        &self,
        ctx: &NmiContext<'_>,
        clock: &mut HandlerClock,
        claims: &mut Claims,
        why: Why,
    ) -> Asked {
        if self.nobody_to_ask(ctx) {
            return Asked::Nothing;
        }
        let first = self.begin_poll(ctx).or_else(|overlapped| {
            if why == Why::Edge {
                self.owe_for_edge(ctx.cpu, ctx.area);
                // Its holder may have released it before it could see the debt. Whoever holds it now began
                // after the edge came, and is the later poll that settles it.
                return self.begin_poll(ctx).map_err(|_| overlapped);
            }
            Err(overlapped)
        });
        let mut poll = match first {
            Ok(number) => number,
            Err(overlapped) => return Asked::Busy(overlapped),
        };
        let mut claimed = self.poll_once(ctx, clock, claims, why, poll);
        for _ in 1..POLLS_AT_ONCE {
            if !self.core.shared.hot.debt.owed().is_some_and(|owed| owed.has_edge()) {
                break;
            }
            poll = match self.begin_poll(ctx) {
                Ok(number) => number,
                Err(_) => break,
            };
            claims.next_round();
            claimed |= self.poll_once(ctx, clock, claims, Why::Debt, poll);
        }
        if claimed { Asked::Claimed } else { Asked::Nothing }
    }

    /// There is no Platform handler. What is owed is paid by that, in a poll that asks nobody, so that edges
    /// that wait for one are settled. But whoever registers a handler owes a poll *after* it is published, so
    /// who takes that debt finds it.
    fn nobody_to_ask(&self, ctx: &NmiContext<'_>) -> bool {
        let nobody = || self.core.registry.order(Class::Platform).is_empty();
        if !nobody() {
            return false;
        }
        if self.core.shared.hot.debt.owed().is_some() {
            if let Ok(number) = self.begin_poll(ctx) {
                self.core.shared.polls.end(number);
            }
        }
        nobody()
    }

    /// Takes the debt, then the lock, then executes a full fence: see `debt` and `poll_lock`.
    fn begin_poll(&self, ctx: &NmiContext<'_>) -> Result<PollNumber, PollNumber> {
        let shared = &self.core.shared;
        let free = shared.polls.look()?;
        let taken = shared.hot.debt.take();
        let begun = shared.polls.begin(free, ctx.cpu);
        if let (Err(_), Some(taken)) = (begun, taken) {
            self.answer_for(ctx.cpu, ctx.area, shared.hot.debt.put_back(taken));
        }
        begun
    }

    /// The holder of the poll lock, who has taken the debt, and who releases the lock.
    fn poll_once(
        &self,
        ctx: &NmiContext<'_>,
        clock: &mut HandlerClock,
        claims: &mut Claims,
        why: Why,
        number: PollNumber,
    ) -> bool {
        let shared = &self.core.shared;
        shared.counters.count_poll(why == Why::Overdue);
        let mut claimed = false;
        self.ask_all(Class::Platform, ctx, clock, |slot, index, claim| {
            claimed = true;
            shared.polls.note_claim(number);
            if why != Why::Edge {
                shared.counters.count_recovered();
            }
            claims.add(&slot.terms, ctx.area.grants.is_routed(index));
            if claim == Claim::More {
                claims.add_more();
            }
            self.publish_claim(slot, index, Some(ctx.area));
        });
        shared.polls.end(number);
        claimed
    }

    /// Tells the CPUs on the route of a Platform doorbell that its condition was claimed. `own` is the area
    /// of this CPU, if it grants itself what it needs.
    pub(crate) fn publish_claim(&self, slot: &Slot, index: usize, own: Option<&PerCpu>) {
        let limits = self.core.shared.limits.on(&self.platform);
        let late_us = slot.terms.late().us();
        let late = limits.late().max(limits.late_of(late_us));
        let now = self.now();
        if let Some(own) = own {
            own.grants.saw_own_claim(index);
        }
        slot.published.publish(&self.core.shared.hot.wide, now.after(late), limits);
    }

    /// Grants this CPU what its claims leave open: of `rings` rings, one brought it here if `edges` is 1.
    pub(crate) fn grant_for(&self, area: &PerCpu, claims: &Claims, edges: usize, now: Moment) {
        let shared = &self.core.shared;
        let limits = shared.limits.on(&self.platform);
        area.grants.adopt(&self.core.registry, &shared.hot.wide, now, limits);
        let deadline = now.after(limits.late());
        let late_deadline = deadline.later_of(now.after(limits.late_of(claims.late_us())));
        area.grants.raise(late_deadline, now, limits);
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

    /// Asks the Platform handlers outside an NMI, with interrupts off.
    pub(crate) fn poll_outside_nmi(&'static self, cpu: usize, area: &PerCpu) {
        self.inside_read_side(cpu, area, |ctx| {
            let mut clock = HandlerClock::from(ctx);
            let mut claims = Claims::default();
            let asked = self.poll_platform(ctx, &mut clock, &mut claims, Why::Debt);
            if asked == Asked::Claimed {
                self.grant_for(area, &claims, 0, clock.now());
            }
            if claims.want_more() {
                self.ask_again_later(cpu, area);
            }
        });
    }

    /// Calls `act` inside the read side, outside an NMI, with interrupts off, so that removals wait for it; and
    /// then settles edges that were deferred.
    ///
    /// An NMI may come on top. What it wants done after leaving waits until this has left, since nobody may
    /// park or debug while a removal waits for this CPU or the poll lock is held. Then the CPU rings itself
    /// for it: parking needs NMI context, and a debugger the frame.
    pub(crate) fn inside_read_side(
        &'static self,
        cpu: usize,
        area: &PerCpu,
        act: impl FnOnce(&NmiContext<'_>),
    ) {
        area.own.read.enter();
        let interrupted = Interrupted::NOWHERE;
        let ctx = NmiContext::outside_nmi(&interrupted, area, cpu, self.platform.now_ticks());
        act(&ctx);
        if area.deferred.any() {
            self.settle_deferred(&ctx, &mut HandlerClock::from(&ctx));
        }
        let outermost = area.own.read.leave();
        if outermost && area.deferred.any() {
            self.answer_for_edge(cpu, area);
        }
        if outermost && area.own.has_after_leave() {
            if self.send(cpu, Request::Again).is_ok() {
                return;
            }
            if let Some(due) = area.own.take_after_leave() {
                self.after_leave(&ctx, due);
            }
        }
    }
}
