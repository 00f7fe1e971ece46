// SPDX-License-Identifier: MIT OR Apache-2.0
//! How often a CPU reports edges that nothing explains.

use crate::primitive::{Counter, Ordering};

/// When a report is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Unless another report came shortly before.
    AtTheRate,
    /// In any case: the kernel ends by it.
    Now,
}

/// Lets one report a CPU through per [`INTERVAL_MS`](Self::INTERVAL_MS), and counts the rest.
///
/// Its CPU alone writes and reads it, in NMI only. An NMI that nests between two of its accesses
/// can at worst bring one report more or count one suppression less.
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

    /// Whether this CPU reports now that so many edges are unknown, and if so, how many others it
    /// has not reported since the last time, those among them that this report is not about.
    pub(crate) fn admit(
        &self,
        edges: usize,
        now_ticks: u64,
        ticks_per_ms: u64,
        due: Due,
    ) -> Option<usize> {
        let now = now_ticks as usize;
        let interval = ticks_per_ms.saturating_mul(Self::INTERVAL_MS);
        let since = now.wrapping_sub(self.reported_at_ticks.load(Ordering::Relaxed));
        let first = self.reported.load(Ordering::Relaxed) == 0;
        if !(due == Due::Now || first || since as u64 >= interval) {
            let held_back = self.suppressed.load(Ordering::Relaxed).wrapping_add(edges);
            self.suppressed.store(held_back, Ordering::Relaxed);
            return None;
        }
        self.reported.store(1, Ordering::Relaxed);
        self.reported_at_ticks.store(now, Ordering::Relaxed);
        let suppressed = self.suppressed.swap(0, Ordering::Relaxed);
        Some(suppressed.wrapping_add(edges.saturating_sub(1)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_report_per_interval_and_none_forgotten() {
        let limiter = ReportLimiter::new();
        assert_eq!(limiter.admit(1, 5, 1, Due::AtTheRate), Some(0));
        assert_eq!(limiter.admit(1, 6, 1, Due::AtTheRate), None);
        assert_eq!(limiter.admit(1, 104, 1, Due::AtTheRate), None);
        assert_eq!(limiter.admit(1, 105, 1, Due::AtTheRate), Some(2));
        assert_eq!(limiter.admit(1, 106, 1, Due::AtTheRate), None);
        assert_eq!(limiter.admit(1, 107, 1, Due::Now), Some(1));
    }

    #[test]
    fn a_report_about_several_edges_tells_how_many_further_ones() {
        let limiter = ReportLimiter::new();
        assert_eq!(limiter.admit(3, 5, 1, Due::AtTheRate), Some(2));
        assert_eq!(limiter.admit(4, 6, 1, Due::AtTheRate), None);
        assert_eq!(limiter.admit(1, 105, 1, Due::AtTheRate), Some(4));
    }
}
