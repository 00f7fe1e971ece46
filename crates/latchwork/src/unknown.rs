// SPDX-License-Identifier: MIT OR Apache-2.0
//! An edge that nothing explains: what is said about it, and how often.

use crate::{
    context::{Mode, SourceMap},
    primitive::{Counter, Ordering},
};

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
    /// Another CPU was asking the Platform handlers when it came. Since then they have been asked again, and
    /// nothing was found that explains it. Of what it interrupted, only the instruction pointer is known.
    Deferred,
    /// It may be the ring of a software send whose sender was stuck after it had posted the request. It is
    /// never panicked on.
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

/// Lets one report a CPU through per [`INTERVAL_MS`](Self::INTERVAL_MS), and counts the rest.
///
/// Written and read by its CPU in NMI only. An NMI that nests between two of its accesses can at
/// worst bring one report more or count one suppression less.
#[derive(Debug)]
pub(crate) struct ReportLimiter {
    reported: Counter,
    reported_at_ticks: Counter,
    suppressed: Counter,
}

impl ReportLimiter {
    const INTERVAL_MS: u64 = 100;

    pub(crate) const fn new() -> Self {
        Self {
            reported: Counter::new(0),
            reported_at_ticks: Counter::new(0),
            suppressed: Counter::new(0),
        }
    }

    /// Whether to report now, and if so, how many were held back before.
    pub(crate) fn admit(&self, now_ticks: u64, ticks_per_ms: u64, always: bool) -> Option<usize> {
        let now = now_ticks as usize;
        let interval = ticks_per_ms.saturating_mul(Self::INTERVAL_MS);
        let since = now.wrapping_sub(self.reported_at_ticks.load(Ordering::Relaxed));
        let first = self.reported.load(Ordering::Relaxed) == 0;
        if !(always || first || since as u64 >= interval) {
            let held_back = self.suppressed.load(Ordering::Relaxed).wrapping_add(1);
            self.suppressed.store(held_back, Ordering::Relaxed);
            return None;
        }
        self.reported.store(1, Ordering::Relaxed);
        self.reported_at_ticks.store(now, Ordering::Relaxed);
        Some(self.suppressed.swap(0, Ordering::Relaxed))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_report_per_interval_and_none_forgotten() {
        let limiter = ReportLimiter::new();
        assert_eq!(limiter.admit(5, 1, false), Some(0));
        assert_eq!(limiter.admit(6, 1, false), None);
        assert_eq!(limiter.admit(104, 1, false), None);
        assert_eq!(limiter.admit(105, 1, false), Some(2));
        assert_eq!(limiter.admit(106, 1, false), None);
        assert_eq!(limiter.admit(107, 1, true), Some(1));
    }
}
