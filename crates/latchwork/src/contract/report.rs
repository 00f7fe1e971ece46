// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the library reports: edges that nothing explains, and edges that it absorbed too long.

use super::interrupted::{Mode, SourceMap};

/// What the library does about an NMI that nothing explains. It counts and reports it in either
/// case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownPolicy {
    /// Report it and go on.
    Report = 0,
    /// Report it and have [`Platform::after_leave`](crate::Platform::after_leave) end the kernel,
    /// on [one CPU](crate::AfterLeave::panic_on_unknown) however many take such NMIs at the same
    /// time.
    Panic = 1,
}

/// What the library knows of an NMI that nothing explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownKind {
    /// This CPU asked every handler, and none claimed.
    Unexplained,
    /// This CPU deferred it: when it came, another CPU was asking the Platform handlers, or it came
    /// on top of another NMI. Nothing that was found since explains it. Of what it interrupted,
    /// only the instruction pointer is known.
    Deferred,
    /// It may be the ring of a software send whose sender was stuck after it had posted the
    /// request. The library never panics on it.
    LateSend,
}

/// An NMI that nothing explains.
#[derive(Clone, Copy, Debug)]
pub struct UnknownNmi {
    /// The CPU that took it.
    pub cpu: usize,
    /// The interrupted instruction pointer.
    pub ip: usize,
    /// The interrupted stack pointer.
    pub sp: usize,
    /// Whether the NMI interrupted user or kernel code.
    pub mode: Mode,
    /// When dispatch began, in the platform's ticks.
    pub arrived_ticks: u64,
    /// The NMI-source bitmap, where the CPU reports one.
    pub sources: Option<SourceMap>,
    /// What the library knows of it.
    pub kind: UnknownKind,
    /// How many unknown NMIs this CPU has taken, this one included.
    pub count: usize,
    /// How many of them came since this CPU's last report and were not reported themselves.
    pub suppressed: usize,
    /// What the library is about to do, unless the NMI may be a [late send](UnknownKind::LateSend).
    pub policy: UnknownPolicy,
}

/// Why the library explained an edge without a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantKind {
    /// A dispatch claimed the conditions of several doorbells, and the ring of one of them came as
    /// an edge of its own.
    Collapsed = 0,
    /// A [`PerEvent`](crate::EdgeModel::PerEvent) doorbell rang after a handler had consumed its
    /// status.
    Late = 1,
    /// A poll had claimed the condition, on another CPU or before this ring.
    MachineWide = 2,
    /// A driver had claimed the condition [outside an NMI](crate::Registration::claim_outside_nmi).
    OutsideNmi = 3,
}

impl GrantKind {
    pub(crate) const ALL: [Self; 4] =
        [Self::Collapsed, Self::Late, Self::MachineWide, Self::OutsideNmi];
}

/// This CPU absorbed an edge, and others before it: they may be a true unknown that repeats.
///
/// The library reports it in two cases. Either the grants that absorbed the edge had been live
/// without a gap for more than 10 ms. Or the edge came at least 10 ms after another absorbed edge,
/// and in every second between the two this CPU absorbed one. Each CPU reports at most once a
/// second.
#[derive(Clone, Copy, Debug)]
pub struct AbsorbedNmi {
    /// The CPU that took it.
    pub cpu: usize,
    /// The interrupted instruction pointer.
    pub ip: usize,
    /// Whether the NMI interrupted user or kernel code.
    pub mode: Mode,
    /// When dispatch began, in the platform's ticks.
    pub arrived_ticks: u64,
    /// What explained it.
    pub kind: GrantKind,
    /// For how long this CPU could have absorbed edges without a gap, in ticks.
    pub absorbable_ticks: usize,
    /// How many edges this CPU has absorbed since it last reported any, this one included.
    pub absorbed: usize,
}
