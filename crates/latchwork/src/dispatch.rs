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
    handler::{Claim, Class},
    nmi::Nmi,
    platform::Platform,
    primitive::Ordering,
    request::{Request, Requests},
    stats::Ending,
    unknown::{UnknownNmi, UnknownPolicy},
};

/// How an edge was explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// A software request or a handler explained it.
    Claimed,
    /// Nothing on this CPU explained it, and another CPU was asking the Platform handlers.
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
    /// Handles one edge. The only function that the NMI entry code calls; a hypervisor calls it for
    /// NMIs that a VM exit reports.
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
        let mut clock = HandlerClock { last_ticks: ctx.arrived_ticks };
        let outcome = self.explain(&ctx, &mut clock);
        let ending = match outcome {
            Outcome::Deferred => Ending::Deferred,
            Outcome::Unknown => Ending::Unknown,
            _ => Ending::Claimed,
        };
        area.counters.record(ending, clock.last_ticks.wrapping_sub(ctx.arrived_ticks));
        if area.own.read.leave() {
            if let Some(due) = area.own.take_after_leave() {
                self.platform.after_leave(&ctx, due);
            }
        }
        outcome
    }

    /// Asks everybody who may explain the edge, in the order of their cost.
    #[inline(always)]
    fn explain(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock) -> Outcome {
        let requested = !ctx.requests.is_empty();
        if requested {
            self.serve(ctx, ctx.requests);
        }
        let claimed = self.ask_all(Class::Local, ctx, clock) || requested;
        if claimed && !must_ask_platform(ctx) {
            return Outcome::Claimed;
        }
        self.explain_beyond_local(ctx, clock, claimed)
    }

    #[inline]
    fn serve(&self, ctx: &NmiContext<'_>, requests: Requests) {
        ctx.area.counters.record_requests(requests.total());
        if requests.count(Request::Stop) != 0 {
            ctx.area.own.post_after_leave(AfterLeave::STOP);
        }
        self.platform.serve(ctx, requests);
    }

    #[cold]
    fn explain_beyond_local(
        &self,
        ctx: &NmiContext<'_>,
        clock: &mut HandlerClock,
        claimed: bool,
    ) -> Outcome {
        match self.poll_platform(ctx, clock) {
            _ if claimed => Outcome::Claimed,
            Poll::Claimed => Outcome::Claimed,
            Poll::Busy => Outcome::Deferred,
            Poll::Nothing if self.ask_all(Class::Unknown, ctx, clock) => Outcome::Claimed,
            Poll::Nothing => {
                self.count_and_report_unknown(ctx);
                Outcome::Unknown
            }
        }
    }

    /// Asks the Platform handlers, unless another CPU is at it. Where there are none, nobody is: an edge
    /// that reaches all CPUs at once, such as a button's, is not deferred for nothing.
    fn poll_platform(&self, ctx: &NmiContext<'_>, clock: &mut HandlerClock) -> Poll {
        if self.core.registry.order(Class::Platform).is_empty() {
            return Poll::Nothing;
        }
        if !self.core.begin_poll(ctx.cpu) {
            return Poll::Busy;
        }
        let claimed = self.ask_all(Class::Platform, ctx, clock);
        self.core.end_poll();
        if claimed { Poll::Claimed } else { Poll::Nothing }
    }

    /// Asks every handler of a class, never stopping at a claim: one edge may stand for several
    /// conditions.
    #[inline(always)]
    fn ask_all(&self, class: Class, ctx: &NmiContext<'_>, clock: &mut HandlerClock) -> bool {
        let mut claimed = false;
        for index in self.core.registry.order(class) {
            let Some(slot) = self.core.registry.slot(class, index) else {
                continue;
            };
            // SAFETY: `dispatch_on` entered the read side before `order` was loaded just above, and
            // leaves it after `explain` has returned.
            let claim = unsafe { slot.ask(ctx) };
            let ticks = clock.lap(self.platform.now_ticks());
            if let Some(counters) = ctx.area.slot_counters(class, index) {
                counters.record(claim != Claim::None, ticks);
            }
            claimed |= claim != Claim::None;
        }
        claimed
    }

    fn count_and_report_unknown(&self, ctx: &NmiContext<'_>) {
        let policy = self.core.policy();
        let panics = policy == UnknownPolicy::Panic;
        let count = ctx.area.counters.record_unknown();
        let ticks_per_ms = self.platform.ticks_per_ms();
        let admitted = ctx.area.own.limiter.admit(ctx.arrived_ticks, ticks_per_ms, panics);
        if let Some(suppressed) = admitted {
            self.platform.report_unknown(&UnknownNmi {
                cpu: ctx.cpu,
                ip: ctx.ip(),
                sp: ctx.sp(),
                mode: ctx.mode(),
                arrived_ticks: ctx.arrived_ticks,
                sources: ctx.sources(),
                count,
                suppressed,
                policy,
            });
        }
        if panics {
            ctx.area.own.post_after_leave(AfterLeave::PANIC_ON_UNKNOWN);
        }
    }
}

/// The Platform handlers must be asked whatever else explains the edge.
#[inline(always)]
fn must_ask_platform(ctx: &NmiContext<'_>) -> bool {
    ctx.requests.count(Request::Probe) != 0 || ctx.sources().is_some_and(SourceMap::may_be_platform)
}

enum Poll {
    Claimed,
    Nothing,
    Busy,
}

/// Splits a dispatch among its handlers with one clock reading each.
struct HandlerClock {
    last_ticks: u64,
}

impl HandlerClock {
    #[inline(always)]
    fn lap(&mut self, now_ticks: u64) -> u64 {
        let ticks = now_ticks.saturating_sub(self.last_ticks);
        self.last_ticks = now_ticks;
        ticks
    }
}
