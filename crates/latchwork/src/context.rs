// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known about one NMI: what it interrupted, on which CPU, when.

use core::marker::PhantomData;

use crate::{cpu::PerCpu, request::Requests};

/// The saved registers as the entry code laid them out. Only the crate that owns the entry code can
/// look inside.
#[repr(C)]
#[derive(Debug)]
pub struct OpaqueFrame {
    _private: [u8; 0],
    _not_send: PhantomData<*mut ()>,
}

/// Where the interrupted code ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In a user program.
    User,
    /// In the kernel.
    Kernel,
}

/// Which sources rang, as FRED's NMI-source reporting says it: a 16-bit bitmap.
///
/// Source: Intel FRED specification, chapter "NMI-source reporting"; CPUID.(EAX=7,ECX=1):EAX\[20\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceMap(u16);

impl SourceMap {
    /// Bit 0: a source that named no valid vector, so everybody must be asked.
    const UNIDENTIFIED: u16 = 1 << 0;
    /// Bit 2: vector 2 is what chipsets send.
    const EXTERNAL: u16 = 1 << 2;

    /// The bitmap as delivered.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The bitmap as delivered.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The bitmap says that a machine-wide source may have rung.
    #[must_use]
    pub const fn may_be_platform(self) -> bool {
        self.0 & (Self::UNIDENTIFIED | Self::EXTERNAL) != 0
    }
}

/// What an NMI interrupted, as the entry code hands it to [`Nmi::dispatch`](crate::Nmi::dispatch).
#[derive(Clone, Copy, Debug)]
pub struct Interrupted {
    /// Instruction pointer.
    pub ip: usize,
    /// Stack pointer.
    pub sp: usize,
    /// Frame pointer register, whether or not the interrupted code used it as one.
    pub fp: usize,
    /// User or kernel.
    pub mode: Mode,
    /// All saved registers, for whoever knows the layout.
    pub frame: *const OpaqueFrame,
    /// The NMI-source bitmap, where the CPU reports one.
    pub sources: Option<SourceMap>,
}

impl Interrupted {
    /// Nothing was interrupted: handlers are asked outside an NMI.
    pub(crate) const NOWHERE: Self =
        Self { ip: 0, sp: 0, fp: 0, mode: Mode::Kernel, frame: core::ptr::null(), sources: None };
}

/// One NMI, as handlers see it, or one [poll outside an NMI](Self::is_outside_nmi). Valid on the CPU and for the time of the call: it is neither `Send`
/// nor `Sync`, nor can it be kept.
#[derive(Debug)]
pub struct NmiContext<'a> {
    pub(crate) interrupted: &'a Interrupted,
    pub(crate) area: &'a PerCpu,
    pub(crate) cpu: usize,
    pub(crate) arrived_ticks: u64,
    pub(crate) requests: Requests,
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
            _this_cpu_only: PhantomData,
        }
    }
}

impl NmiContext<'_> {
    /// The CPU that took the NMI, as [`Platform::current_cpu`](crate::Platform::current_cpu) counts.
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

    /// Whether user or kernel code was interrupted.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.interrupted.mode
    }

    /// When dispatch began, in the platform's ticks.
    #[must_use]
    pub const fn arrived_ticks(&self) -> u64 {
        self.arrived_ticks
    }

    /// Whether the handler is asked without an NMI's frame: by a tick that pays a debt, with interrupts off,
    /// or about an edge that was deferred. Then [`frame`](Self::frame) is null.
    #[must_use]
    pub const fn is_outside_nmi(&self) -> bool {
        self.interrupted.frame.is_null()
    }

    /// The saved registers, opaque here. Valid during the call only; null
    /// [outside an NMI](Self::is_outside_nmi).
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

    /// Asks for [`Platform::after_leave`](crate::Platform::after_leave) to run once this CPU is
    /// outside the read side: the place to park or to enter a debugger.
    pub fn ask_after_leave(&self) {
        self.area.own.post_after_leave(crate::after_leave::AfterLeave::HANDLER_ASKED);
    }
}
