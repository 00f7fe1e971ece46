// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies: the NMI code of a kernel, as the machine runs it. Our policy and those of other
//! kernels run on the same machine.

mod baselines;
mod latchwork;

use crate::{
    engine::{self, Fingerprint},
    event_log::{self, Logged},
    machine::{Bell, Ending, Route, current},
};

pub use self::{
    baselines::{Baseline, baselines},
    latchwork::{Latchwork, Recovery},
};

/// A kernel's NMI code. Its functions run on simulated CPUs, reach the hardware by
/// [`driver`](crate::driver), and report by [`driver::report`](crate::driver::report).
///
/// A policy folds whatever state it keeps outside simulated atomics, and changes that only between
/// two choice points.
pub trait Policy {
    /// Its name in tables.
    fn name(&self) -> &'static str;

    /// Whether it can do this at all. A scenario that needs more says nothing about the policy.
    fn can(&self, action: Action) -> bool;

    /// Sets itself up before time begins, and registers a handler for each doorbell of the plan.
    fn set_up(&self, plan: &Plan);

    /// Handles an NMI, from entry to exit. It returns before the IRET.
    fn nmi(&self, arrival: &Arrival) -> Ending;

    /// The handler of this CPU's tick. Interrupts are off.
    fn tick(&self);

    /// The handler of the interrupt for deferred work. Interrupts are off.
    fn work_interrupt(&self);

    /// This CPU is about to halt. Interrupts are off; the instruction that halts it lets them in.
    fn idle_entry(&self);

    /// Does what a scenario asks of the kernel, on this CPU: from ordinary context, or from the
    /// handler of a PMI where the [`Plan`] says so.
    fn act(&self, action: Action);

    /// The grants of `cpu` and the debt, for a timeline. Changes nothing.
    fn standing(&self, _cpu: usize) -> Standing {
        Standing::default()
    }

    /// Takes in all state that is not in simulated atomics.
    fn fold(&self, fingerprint: &mut Fingerprint);
}

/// What a policy remembers between NMIs, in words. A text is empty if there is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Which edges one CPU may absorb.
    pub grants: String,
    /// What the whole machine owes.
    pub debt: String,
}

/// A line in the timeline, in this CPU's column.
fn say(text: impl Fn() -> String) {
    event_log::append(|| Logged::Says(text()));
    engine::note(current().this_cpu(), text);
}

/// How a scenario wants a policy set up.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The doorbells whose handlers are registered from the beginning. That of the counters comes
    /// twice where their trace buffer has a handler of its own.
    pub attended: &'static [Bell],
    /// What the handler of PMIs also does each time that it claims.
    pub on_pmi: Option<Action>,
}

impl Plan {
    /// Whether counters and trace buffer have a handler each, behind one doorbell.
    #[must_use]
    pub fn trace_is_apart(&self) -> bool {
        self.attended.iter().filter(|bell| **bell == Bell::Lvt).count() > 1
    }
}

/// An NMI, as entry code sees it.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The CPU that takes it.
    pub cpu: usize,
    /// Its number on this CPU, which reports name. No policy decides by it.
    pub serial: usize,
    /// FRED's source bitmap, where the CPU reports one.
    pub sources: Option<u16>,
    /// This CPU has executed nothing since the last NMI's IRET: the interrupted instruction pointer
    /// is the same as then.
    pub back_to_back: bool,
}

/// What a software send asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    /// Park.
    Stop,
    /// Say where you are.
    Backtrace,
    /// Call.
    Call,
}

/// What a scenario asks of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send an NMI.
    Send {
        /// To whom.
        to: usize,
        /// What for.
        ask: Ask,
    },
    /// Queue deferred work.
    Queue {
        /// Which item.
        item: usize,
        /// On that CPU; on this one if there is none.
        on: Option<usize>,
        /// Whether it may wait for the tick.
        lazy: bool,
    },
    /// Register that doorbell's handler.
    Register(Bell),
    /// Remove that doorbell's handler, and wait until that is over.
    Remove(Bell),
    /// Make that doorbell's handler unreachable, without waiting.
    TryRemove(Bell),
    /// Wait until the removal that was last tried is over.
    AwaitRemoval(Bell),
    /// Mask that doorbell's route.
    Mask(Bell),
    /// Unmask that doorbell's route, and recover what is asserted already.
    Unmask(Bell),
    /// The driver consumes that doorbell's condition by itself, outside an NMI.
    ClaimOutside(Bell),
    /// Stop this CPU's tick.
    StopTick,
    /// Start it again.
    StartTick,
    /// Take this CPU offline. It still takes NMIs.
    GoOffline,
    /// Bring it back.
    ComeOnline,
    /// Mark that CPU offline, if it hangs.
    MarkOffline(usize),
    /// Forget the next call that a kernel need not make, on this CPU.
    Forget,
    /// Have that doorbell ring these CPUs from now on.
    SetRoute(Bell, Route),
    /// Restart this CPU's clock, at that reading.
    ResetClock(u64),
}
