// SPDX-License-Identifier: MIT OR Apache-2.0
//! One NMI, from entry to exit.
//!
//! Wait-free and bounded: no loop whose length another CPU controls, no lock but the try-lock of
//! the Platform handlers, no store to a line that other CPUs store to on their hot path.

use core::marker::PhantomData;

use crate::{
    after_leave::AfterLeave,
    context::{Interrupted, NmiContext, SourceMap},
    cpu::PerCpu,
    grant::{AbsorbedNmi, Claims, GrantKind},
    handler::{Claim, Class},
    moment::Moment,
    nmi::Nmi,
    platform::Platform,
    primitive::{Ordering, fence},
    recovery::{Asked, PollNumber, Why},
    request::{Request, Requests},
    slot::Slot,
    stats::Ending,
};

/// How an edge was explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// A software request or a handler explained it.
    Claimed,
    /// Nothing was found, and a grant of an earlier claim explained it.
    Absorbed,
    /// Nothing on this CPU explained it, and what may is not known yet: another CPU was asking the Platform
    /// handlers, or this NMI came on top of another. It is settled later.
    Deferred,
    /// Nothing explained it. It was counted, and reported as the policy says.
    Unknown,
    /// It came before [`Nmi::init`], or before this CPU had per-CPU data. It was counted.
    TooEarly,
    /// This CPU is [offline](Nmi::go_offline). No handler was asked; it was counted, and the requests that
    /// it took were dropped.
    Offline,
    /// It is nested deeper than [`MAX_NESTING`]: the entry code is broken. No handler was asked; it was
    /// counted as nested.
    TooDeep,
}

/// How deep NMIs may nest on one CPU; the read word's depth field could not count many more.
pub const MAX_NESTING: usize = 100;

impl<P: Platform> Nmi<P> {
    /// Handles one edge. The only function that the NMI entry code calls, once for each NMI that
    /// the CPU takes. What it touches must be [mapped](Platform#what-must-be-mapped).
    ///
    /// # From a VM exit
    ///
    /// A host that intercepts NMIs while a guest runs takes some of them as exits and not through
    /// its IDT.
    ///
    /// *VMX* ("NMI exiting"; SDM Vol. 3C, "Information for VM Exits Due to Vectored Events": type
    /// 2, vector 2): the edge is spent, so the exit handler calls `dispatch` itself, and owes
    ///
    /// * **the time**: before it enables interrupts, idles, calls [`tick`](Self::tick) or enters
    ///   the guest again, on the CPU that exited. The library takes a tick or an idle entry for a
    ///   moment at which every NMI that had come has been dispatched, and ends grants by it: an
    ///   exit that is dispatched after one may be called unknown though a claim explains it. That
    ///   guarantee ends here, and nothing else does: removals, statistics and debts hold as ever;
    /// * **the blocking**: the CPU blocks NMIs from the exit until the next `IRET`. Nothing before
    ///   or in the call may execute one (no exception, no breakpoint), or NMIs nest, which is
    ///   counted and survived up to [`MAX_NESTING`]. After the call the host executes an `IRET` to
    ///   its own next instruction, or this CPU takes no further NMI; parking in
    ///   [`after_leave`](Platform::after_leave) needs the blocking no less than in an NMI;
    /// * **GS and page tables**: the exit has loaded the host's from the VMCS. They must be those
    ///   by which [`Platform::current_cpu`] knows this CPU;
    /// * **`interrupted`**: the host's instruction and stack pointer at the exit, [`Mode::Kernel`]
    ///   and a frame made of them, not null, as the entry code would have made it: handlers walk
    ///   the stack from there. The guest's registers are no addresses of the host; whoever profiles
    ///   guests reads them elsewhere. With NMI-source reporting the exit qualification holds
    ///   `sources`.
    ///
    /// *SVM* (intercept of physical NMIs; APM Vol. 2, "Global Interrupt Flag"): the exit does not
    /// spend the edge. It stays pending while GIF is 0, and comes through the IDT after `STGI`. So
    /// the exit handler does **not** call `dispatch`, which would look for one edge twice, but
    /// restores GS and what else the entry code relies on before `STGI`.
    ///
    /// [`Mode::Kernel`]: crate::Mode::Kernel
    ///
    /// # Safety
    ///
    /// 1. This CPU is in NMI context and stays there until the call returns.
    /// 2. Nothing but another NMI, and what it calls, runs on this CPU meanwhile.
    /// 3. `interrupted.frame` is what this kernel's handlers expect, valid during the call.
    #[inline]
    pub unsafe fn dispatch(&'static self, interrupted: &Interrupted) -> Outcome {
        let this_cpu = self.platform.current_cpu();
        let area = this_cpu.and_then(|cpu| Some((cpu, self.core.cpus().get(cpu)?)));
        let Some((cpu, area)) = area else {
            self.core.too_early.fetch_add(1, Ordering::Relaxed);
            return Outcome::TooEarly;
        };
        if area.presence().turns_away() {
            return self.turn_away(area);
        }
        let outer_nmis = area.own.nmis_in_progress();
        if outer_nmis != 0 {
            area.counters.record_nested();
            if outer_nmis >= MAX_NESTING {
                return Outcome::TooDeep;
            }
        }
        area.own.set_nmis_in_progress(outer_nmis.wrapping_add(1));
        let outcome = self.dispatch_on(cpu, area, interrupted);
        area.own.set_nmis_in_progress(outer_nmis);
        outcome
    }

    #[inline(always)]
    fn dispatch_on(&self, cpu: usize, area: &PerCpu, interrupted: &Interrupted) -> Outcome {
        area.own.read.enter();
        let ctx = NmiContext {
            interrupted,
            area,
            cpu,
            arrived_ticks: self.platform.now_ticks(),
            requests: area.take_requests(),
            _this_cpu_only: PhantomData,
        };
        let mut clock = HandlerClock::from(&ctx);
        let outcome = self.explain(&ctx, &mut clock);
        if area.deferred.any() {
            self.settle_deferred(&ctx, &mut clock);
        }
        let ending = match outcome {
            Outcome::Absorbed => Ending::Absorbed,
            Outcome::Deferred => Ending::Deferred,
            Outcome::Unknown => Ending::Unknown,
            _ => Ending::Claimed,
        };
        area.counters.record(ending, clock.last_ticks.wrapping_sub(ctx.arrived_ticks));
        let mut left_ticks = clock.last_ticks;
        let outermost = area.own.read.leave();
        if outermost {
            if let Some(due) = area.own.take_after_leave() {
                self.after_leave(&ctx, due);
                left_ticks = self.platform.now_ticks();
            }
        }
        self.look_at_sends(area, Moment::from_ticks(left_ticks));
        if outermost {
            let waits = area.deferred.any();
            if waits {
                self.answer_for_edge(cpu, area);
            }
            let limits = || self.core.shared.limits.on(&self.platform);
            area.grants.leave(Moment::from_ticks(left_ticks), waits, limits);
        }
        outcome
    }

    /// Asks everybody who may explain the edge, in the order of their cost.
    #[inline(always)]
    fn explain(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock) -> Outcome {
        let mut claims = Claims::of_sends(ctx.requests.total());
        if claims.any() {
            self.serve(ctx, ctx.requests);
        }
        self.ask_all(Class::Local, ctx, clock, |slot, _, claim| {
            claims.add(&slot.terms, true);
            if claim == Claim::More {
                claims.add_more();
            }
        });
        if !claims.any() {
            return self.explain_beyond_local(ctx, clock, claims);
        }
        let asked = match self.must_ask_platform(ctx, clock) {
            Some(why) => self.poll_platform(ctx, clock, &mut claims, why),
            None => Asked::Skipped,
        };
        if !asked.has_asked() {
            self.owe_for_skipping(ctx);
        }
        self.grant_what_is_open(ctx, clock, &claims);
        Outcome::Claimed
    }

    #[inline]
    fn serve(&self, ctx: &NmiContext<'_>, requests: Requests) {
        ctx.area.counters.record_requests(requests.total());
        let arrived = Moment::from_ticks(ctx.arrived_ticks);
        ctx.area.grants.hold_for(ctx.area.unfinished_sends(), arrived);
        if requests.count(Request::Stop) != 0 {
            ctx.area.own.post_after_leave(AfterLeave::STOP);
        }
        self.platform.serve(ctx, requests);
    }

    /// An edge that nothing Local explains.
    #[cold]
    fn explain_beyond_local(
        &self,
        ctx: &NmiContext<'_>,
        clock: &mut HandlerClock,
        mut claims: Claims,
    ) -> Outcome {
        // What is granted there may be for the edge underneath.
        let on_top = ctx.area.own.read.is_on_top();
        if ctx.area.deferred.any() && !on_top {
            self.settle_deferred(ctx, clock);
        }
        let must_ask = self.must_ask_platform(ctx, clock);
        if must_ask.is_none() && !on_top && self.absorb(ctx) {
            self.owe_for_skipping(ctx);
            return Outcome::Absorbed;
        }
        match self.poll_platform(ctx, clock, &mut claims, Why::Edge) {
            Asked::Claimed => {
                self.grant_what_is_open(ctx, clock, &claims);
                Outcome::Claimed
            }
            _ if on_top && self.leave_to_outermost(ctx) => Outcome::Deferred,
            _ if self.absorb(ctx) => Outcome::Absorbed,
            Asked::Busy(overlapped) if self.defer(ctx, overlapped) => Outcome::Deferred,
            _ => self.last_resort(ctx, clock),
        }
    }

    fn leave_to_outermost(&self, ctx: &NmiContext<'_>) -> bool {
        let arrived = Moment::from_ticks(ctx.arrived_ticks);
        ctx.area.deferred.leave_to_outermost(arrived, ctx.ip())
    }

    fn defer(&self, ctx: &NmiContext<'_>, overlapped: PollNumber) -> bool {
        let arrived = Moment::from_ticks(ctx.arrived_ticks);
        let noted = ctx.area.deferred.defer(overlapped, 1, arrived, ctx.ip());
        if noted {
            self.answer_for_edge(ctx.cpu, ctx.area);
        }
        noted
    }

    /// The Platform handlers were not asked, and this edge may be one of theirs as well.
    #[inline(always)]
    fn owe_for_skipping(&self, ctx: &NmiContext<'_>) {
        let owed = self.core.shared.hot.debt.owed();
        if owed.is_none() && !self.core.registry.order(Class::Platform).is_empty() {
            self.owe(ctx.cpu, ctx.area);
        }
    }

    /// Something was claimed: grants what that leaves open, and has grants that are there last as long.
    #[inline(always)]
    fn grant_what_is_open(&self, ctx: &NmiContext<'_>, clock: &HandlerClock, claims: &Claims) {
        let grants = &ctx.area.grants;
        if !claims.is_plain() || !grants.is_empty() || grants.is_behind(&self.core.shared.hot.wide)
        {
            self.grant_in_nmi(ctx, clock, claims);
        } else {
            grants.note_claim(clock.now(), || self.core.shared.limits.on(&self.platform));
        }
        if claims.want_more() {
            self.ask_again_later(ctx.cpu, ctx.area);
        }
    }

    #[cold]
    fn grant_in_nmi(&self, ctx: &NmiContext<'_>, clock: &HandlerClock, claims: &Claims) {
        self.grant_for(ctx.area, claims, 1, clock.now());
    }

    /// Absorbs the edge if a grant is live, and reports it if it may hide something.
    pub(crate) fn absorb(&self, ctx: &NmiContext<'_>) -> bool {
        self.absorb_by(ctx, &GrantKind::ALL)
    }

    /// The same, by a grant of these kinds.
    pub(crate) fn absorb_by(&self, ctx: &NmiContext<'_>, kinds: &[GrantKind]) -> bool {
        let shared = &self.core.shared;
        let limits = shared.limits.on(&self.platform);
        let now = Moment::from_ticks(ctx.arrived_ticks);
        let grants = &ctx.area.grants;
        // The statuses were looked at before the claims. Partner: the fence in `claim_outside_nmi`.
        fence(Ordering::Acquire);
        grants.adopt(&self.core.registry, &shared.hot.wide, now, limits);
        let Some(absorption) = grants.absorb(kinds, now, limits) else {
            return false;
        };
        ctx.area.counters.record_absorbed(absorption.kind);
        if let Some(absorbed) = absorption.to_report {
            self.platform.report_absorbed(&AbsorbedNmi {
                cpu: ctx.cpu,
                ip: ctx.ip(),
                mode: ctx.mode(),
                arrived_ticks: ctx.arrived_ticks,
                kind: absorption.kind,
                absorbable_ticks: absorption.absorbable_ticks,
                absorbed,
            });
        }
        true
    }

    /// Asks every handler of a class, never stopping at a claim: one edge may stand for several
    /// conditions. Hands each claim to `claimed`, with the slot.
    #[inline(always)]
    pub(crate) fn ask_all(
        &self,
        class: Class,
        ctx: &NmiContext<'_>,
        clock: &mut HandlerClock,
        mut claimed: impl FnMut(&Slot, usize, Claim),
    ) {
        for index in self.core.registry.order(class) {
            let Some(slot) = self.core.registry.slot(class, index) else {
                continue;
            };
            // SAFETY: the caller entered the read side before `order` was loaded just above, and leaves
            // it after this call: `dispatch_on` and `inside_read_side` do.
            let claim = unsafe { slot.ask(ctx) };
            let ticks = clock.lap(self.platform.now_ticks());
            if let Some(counters) = ctx.area.slot_counters(class, index) {
                counters.record(claim != Claim::None, ticks);
            }
            if claim != Claim::None {
                claimed(slot, index, claim);
                let limit = slot.storm_above.get();
                self.watch_storm((ctx.cpu, ctx.area), (class, index), limit, clock.last_ticks);
            }
        }
    }

    /// Whether the Platform handlers must be asked whatever else explains the edge, and why.
    #[inline(always)]
    fn must_ask_platform(&self, ctx: &NmiContext<'_>, clock: &HandlerClock) -> Option<Why> {
        if ctx.requests.count(Request::Probe) != 0 {
            return Some(Why::Debt);
        }
        if ctx.sources().is_some_and(SourceMap::may_be_platform) {
            return Some(Why::Edge);
        }
        let shared = &self.core.shared;
        let owed = shared.hot.debt.owed()?;
        let limits = shared.limits.on(&self.platform);
        let overdue = limits.overdue();
        owed.is_older_than(overdue, clock.now(), overdue).then_some(Why::Overdue)
    }

    /// A Local or Platform handler stopped before it was through: this CPU asks again, in an NMI of its
    /// own, once it has run other code.
    #[cold]
    pub(crate) fn ask_again_later(&self, cpu: usize, area: &PerCpu) {
        area.duties.ask_again();
        self.platform.interrupt_for_work(cpu);
    }
}

/// Splits a dispatch among its handlers with one clock reading each.
pub(crate) struct HandlerClock {
    last_ticks: u64,
}

impl HandlerClock {
    #[inline(always)]
    pub(crate) fn from(ctx: &NmiContext<'_>) -> Self {
        Self { last_ticks: ctx.arrived_ticks }
    }

    /// The last reading.
    #[inline(always)]
    pub(crate) fn now(&self) -> Moment {
        Moment::from_ticks(self.last_ticks)
    }

    #[inline(always)]
    fn lap(&mut self, now_ticks: u64) -> u64 {
        let ticks = now_ticks.saturating_sub(self.last_ticks);
        self.last_ticks = now_ticks;
        ticks
    }
}
