// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a handler learns about one NMI: what it interrupted, on which CPU, when.

use core::marker::PhantomData;

use super::{
    after_leave::AfterLeave,
    interrupted::{Interrupted, Mode, OpaqueFrame, SourceMap},
    request::Requests,
};
use crate::cpu::PerCpu;

/// One NMI, or one [poll outside an NMI](Self::is_outside_nmi), as handlers see it. It is valid on
/// this CPU and during the call only: it is neither `Send` nor `Sync`, and a handler cannot keep
/// it.
#[derive(Debug)]
pub struct NmiContext<'a> {
    pub(crate) interrupted: &'a Interrupted,
    pub(crate) area: &'a PerCpu,
    pub(crate) cpu: usize,
    pub(crate) arrived_ticks: u64,
    pub(crate) requests: Requests,
    pub(crate) in_nmi: bool,
    pub(crate) _this_cpu_only: PhantomData<*mut ()>,
}

impl<'a> NmiContext<'a> {
    pub(crate) const fn outside_nmi(
        interrupted: &'a Interrupted,
        area: &'a PerCpu,
        cpu: usize,
        now_ticks: u64,
    ) -> Self {
        Self {
            interrupted,
            area,
            cpu,
            arrived_ticks: now_ticks,
            requests: Requests::NONE,
            in_nmi: false,
            _this_cpu_only: PhantomData,
        }
    }
}

impl NmiContext<'_> {
    /// The CPU that took the NMI, by the number that
    /// [`Platform::current_cpu`](crate::Platform::current_cpu) returns.
    #[must_use]
    pub const fn cpu(&self) -> usize {
        self.cpu
    }

    /// The interrupted instruction pointer.
    #[must_use]
    pub const fn ip(&self) -> usize {
        self.interrupted.ip
    }

    /// The interrupted stack pointer.
    #[must_use]
    pub const fn sp(&self) -> usize {
        self.interrupted.sp
    }

    /// The interrupted frame pointer register.
    #[must_use]
    pub const fn fp(&self) -> usize {
        self.interrupted.fp
    }

    /// Whether the NMI interrupted user or kernel code.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.interrupted.mode
    }

    /// When dispatch began, in the platform's ticks.
    #[must_use]
    pub const fn arrived_ticks(&self) -> u64 {
        self.arrived_ticks
    }

    /// Whether this CPU asks the handler outside an NMI, with interrupts off: its tick pays a debt,
    /// or judges an edge that it had deferred.
    #[must_use]
    pub const fn is_outside_nmi(&self) -> bool {
        !self.in_nmi
    }

    /// The registers that the entry code saved, opaque to this crate. The pointer is valid during
    /// the call only, and null where there are none: [outside an NMI](Self::is_outside_nmi), and
    /// about an edge that this CPU had deferred.
    #[must_use]
    pub const fn frame(&self) -> *const OpaqueFrame {
        self.interrupted.frame
    }

    /// The NMI-source bitmap, where the CPU reports one.
    #[must_use]
    pub const fn sources(&self) -> Option<SourceMap> {
        self.interrupted.sources
    }

    /// The software requests that this NMI took.
    #[must_use]
    pub const fn requests(&self) -> Requests {
        self.requests
    }

    /// Has the library call [`Platform::after_leave`](crate::Platform::after_leave) once this CPU
    /// is outside the read side: the place to park or to enter a debugger.
    pub fn ask_after_leave(&self) {
        self.area.own.post_after_leave(AfterLeave::HANDLER_ASKED);
    }
}
