// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel is told of edges that nothing explains, or too much does.

use super::interrupted::{Mode, SourceMap};

/// What to do about an NMI that nothing explains. It is counted and reported in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownPolicy {
    /// Report it and go on.
    Report = 0,
    /// Report it and have [`Platform::after_leave`](crate::Platform::after_leave) end the kernel,
    /// on [one CPU](crate::AfterLeave::panic_on_unknown) however many take such NMIs at once.
    Panic = 1,
}

/// What is known of an NMI that nothing explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownKind {
    /// Every handler was asked, and none claimed.
    Unexplained,
    /// Another CPU was asking the Platform handlers when it came. Since then they have been asked
    /// again, and nothing was found that explains it. Of what it interrupted, only the instruction
    /// pointer is known.
    Deferred,
    /// It may be the ring of a software send whose sender was stuck after it had posted the
    /// request. It is never panicked on.
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
    /// Whether user or kernel code was interrupted.
    pub mode: Mode,
    /// When dispatch began, in the platform's ticks.
    pub arrived_ticks: u64,
    /// The NMI-source bitmap, where the CPU reports one.
    pub sources: Option<SourceMap>,
    /// What is known of it.
    pub kind: UnknownKind,
    /// How many unknown NMIs this CPU has taken, this one included.
    pub count: usize,
    /// How many of them came since the last report and were not reported themselves.
    pub suppressed: usize,
    /// What is about to be done, unless it may be a [late send](UnknownKind::LateSend).
    pub policy: UnknownPolicy,
}

/// Why an edge without a condition was explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantKind {
    /// A dispatch claimed the conditions of several doorbells; the ring of one of them came by
    /// itself.
    Collapsed = 0,
    /// A ring of a [`PerEvent`](crate::EdgeModel::PerEvent) doorbell, after its status was
    /// consumed.
    Late = 1,
    /// The condition was claimed by a poll on another CPU, or before this one's ring.
    MachineWide = 2,
    /// The condition was claimed outside an NMI.
    OutsideNmi = 3,
}

impl GrantKind {
    pub(crate) const ALL: [Self; 4] =
        [Self::Collapsed, Self::Late, Self::MachineWide, Self::OutsideNmi];
}

/// An edge was absorbed, and others before it: what was explained so may be a true unknown that
/// repeats.
///
/// It is reported when the edge was absorbed by grants that had been live without a gap for more
/// than 10 ms, or at least 10 ms after another absorbed edge with no second without one in between;
/// at most once a second and CPU.
#[derive(Clone, Copy, Debug)]
pub struct AbsorbedNmi {
    /// The CPU that took it.
    pub cpu: usize,
    /// The interrupted instruction pointer.
    pub ip: usize,
    /// Whether user or kernel code was interrupted.
    pub mode: Mode,
    /// When dispatch began, in the platform's ticks.
    pub arrived_ticks: u64,
    /// What explained it.
    pub kind: GrantKind,
    /// How long edges could have been absorbed here without a gap, in ticks.
    pub absorbable_ticks: usize,
    /// How many edges this CPU has absorbed since it last reported any, this one included.
    pub absorbed: usize,
}
