// SPDX-License-Identifier: MIT OR Apache-2.0
//! The entry and the end of a dispatch.
//!
//! Wait-free and bounded: it has no loop whose length another CPU controls, takes no lock but the
//! try-lock of the Platform handlers, and stores to no line to which other CPUs store on their hot
//! path. Nor does its length grow with what came on top of it: it looks at the tray twice at most;
//! each time it takes all claims in one step on the ledger and all edges in another, and asks the
//! handlers once about those that are left.

use core::marker::PhantomData;

use crate::{
    contract::{Interrupted, NmiContext, Platform},
    cpu::PerCpu,
    nmi::Nmi,
    primitive::Ordering,
    read_word::Nesting,
    stats::Ending,
    time::{HandlerClock, Timestamp},
};

/// How an edge was explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// A software request or a handler explained it.
    Claimed,
    /// Dispatch found nothing, and a grant of an earlier claim explained it.
    Absorbed,
    /// Nothing on this CPU explained it, and it is not known yet what does: another CPU was asking
    /// the Platform handlers, or this NMI came on top of another. This CPU settles it later.
    Deferred,
    /// Nothing explained it. This CPU counted it, and reported it as the policy says.
    Unknown,
    /// It came before [`Nmi::init`], or before this CPU had per-CPU data. The library counted it.
    TooEarly,
    /// This CPU is [offline](Nmi::go_offline). It asked no handler, counted the edge, and dropped
    /// the requests that the edge took.
    Offline,
    /// It is nested deeper than [`MAX_NESTING`]: the entry code is broken. This CPU asked no
    /// handler, and counted it as nested.
    TooDeep,
}

/// How deep NMIs may nest on one CPU; the read word's depth field could not count many more.
pub const MAX_NESTING: usize = 100;

/// How often an NMI looks at what others leave on top of it: once for them, and once more for those
/// that come on top of that. What further ones leave waits for the next NMI or tick.
const LOOKS: usize = 2;

impl<P: Platform> Nmi<P> {
    /// Handles one edge. The NMI entry code calls this, and no other function, once for each NMI
    /// that the CPU takes. What it touches must be [mapped](Platform#what-must-be-mapped).
    ///
    /// # From a VM exit
    ///
    /// A host that intercepts NMIs while a guest runs takes some of them as exits and not through
    /// its IDT.
    ///
    /// *VMX* ("NMI exiting"; SDM Vol. 3C, "Information for VM Exits Due to Vectored Events": type
    /// 2, vector 2): the edge is spent, so the exit handler calls `dispatch` itself, and owes
    ///
    /// * **the time**: call it before this CPU enables interrupts, idles, calls
    ///   [`tick`](Self::tick) or enters the guest again, on the CPU that exited. The library takes
    ///   a tick or an idle entry for a moment at which this CPU has dispatched every NMI that had
    ///   come, and ends grants by it. If the exit handler dispatches the edge after such a moment,
    ///   the library may call it unknown though a claim explains it. Only that guarantee ends here:
    ///   removals, statistics and debts hold as ever;
    /// * **the blocking**: the CPU blocks NMIs from the exit until the next `IRET`. Nothing before
    ///   or in the call may execute one (no exception, no breakpoint), or NMIs nest, which dispatch
    ///   counts and survives up to [`MAX_NESTING`]. After the call the host executes an `IRET` to
    ///   its own next instruction, or this CPU takes no further NMI; parking in
    ///   [`after_leave`](Platform::after_leave) needs the blocking no less than in an NMI;
    /// * **GS and page tables**: the exit has loaded the host's from the VMCS. They must be those
    ///   by which [`Platform::current_cpu`] knows this CPU;
    /// * **`interrupted`**: the host's instruction and stack pointer at the exit, [`Mode::Kernel`]
    ///   and a frame made of them, not null, as the entry code would have made it: handlers walk
    ///   the stack from there. The guest's registers are no addresses of the host; a profiler of
    ///   guests reads them elsewhere. With NMI-source reporting the exit qualification holds
    ///   `sources`.
    ///
    /// *SVM* (intercept of physical NMIs; APM Vol. 2, "Global Interrupt Flag"): the exit does not
    /// spend the edge. The edge stays pending while GIF is 0, and comes through the IDT after
    /// `STGI`. So the exit handler does **not** call `dispatch`, which would look for one edge
    /// twice. Before `STGI` it restores GS and whatever else the entry code relies on.
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
        if !area.presence().is_online_here() && self.turns_away(cpu, area) {
            return Outcome::Offline;
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
        let nesting = area.own.read.enter();
        let ctx = NmiContext {
            interrupted,
            area,
            cpu,
            arrived_ticks: self.platform.now_ticks(),
            requests: area.take_requests(),
            in_nmi: true,
            _this_cpu_only: PhantomData,
        };
        let mut clock = HandlerClock::started_at(ctx.arrived_ticks);
        let rings = self.claim_locally(&ctx, &mut clock);
        let outcome = match nesting {
            Nesting::Outermost => self.explain(&ctx, &mut clock, rings),
            Nesting::OnTop => self.leave_to_outermost(&ctx, &mut clock, rings),
        };
        let mut looks = LOOKS;
        if nesting == Nesting::Outermost {
            if area.has_open_edges() {
                looks = looks.saturating_sub(1);
                self.settle(&ctx, &mut clock);
            }
            if self.has_ledger_to_note(area) {
                self.note_leave(area, Timestamp::from_ticks(ctx.arrived_ticks), clock.now());
            }
        }
        let ending = match outcome {
            Outcome::Absorbed => Ending::Absorbed,
            Outcome::Deferred => Ending::Deferred,
            Outcome::Unknown => Ending::Unknown,
            _ => Ending::Claimed,
        };
        area.counters.record(ending, clock.last_ticks.saturating_sub(ctx.arrived_ticks));
        area.own.read.leave();
        if nesting == Nesting::Outermost {
            self.after_outermost(&ctx, looks);
        }
        outcome
    }

    /// Whether a ring may still come to this CPU, or one that it has not adopted.
    #[inline(always)]
    fn has_ledger_to_note(&self, area: &PerCpu) -> bool {
        let ledger = &area.ledger;
        !ledger.is_empty() || ledger.has_unseen_claims(&self.core.recovery.hot.machine_wide)
    }

    /// What the outermost dispatch does outside the read side.
    #[inline(always)]
    fn after_outermost(&self, ctx: &NmiContext<'_>, looks: usize) {
        if !ctx.area.tray.is_empty() {
            self.settle_after_leaving(ctx, looks);
        }
        if let Some(due) = ctx.area.own.take_after_leave() {
            self.after_leave(ctx, due);
            self.note_late_leave(ctx);
        }
    }

    /// This CPU was parked, or long in a debugger, before it leaves its NMI. A ring that came since
    /// the NMI began waits in its latch, so the CPU adopts what was claimed since.
    #[cold]
    fn note_late_leave(&self, ctx: &NmiContext<'_>) {
        let (area, now) = (ctx.area, self.now());
        area.own.read.enter();
        self.adopt(area, Timestamp::from_ticks(ctx.arrived_ticks), now);
        area.ledger.note_end_of_parking(now, self.limits());
        area.own.read.leave();
        if !area.tray.is_empty() {
            self.answer_for_edge(ctx.cpu, area);
        }
    }
}
