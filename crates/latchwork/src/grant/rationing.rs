// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a CPU absorbed: counted, and reported if it may hide something.
//!
//! Rule: a CPU that absorbs edges for longer than a grant lasts by itself reports them, once a
//! second at most.
//!
//! An orphan and a true unknown that collapsed look like an orphan, and so does a true unknown that
//! comes while a grant is live. Without NMI-source reporting a CPU cannot tell one such edge apart.
//! It can tell one that repeats: absorbing is rationed, so it surfaces.

use crate::{
    primitive::{Counter, Ordering},
    time::{InTicks, Timestamp},
};

/// Decides which absorbed edges this CPU reports. Own CPU, in NMI; an NMI on top can at worst bring
/// one report more.
#[derive(Debug)]
pub(super) struct Rationing {
    /// When the first edge of the present streak was absorbed, with bit 0 set; 0 before any.
    streak_from: Counter,
    last: Counter,
    /// As `streak_from`.
    reported_at: Counter,
    unreported: Counter,
}

impl Rationing {
    /// Longer than any grant lasts that nothing raises.
    const TOLERATED_MS: u32 = 10;
    /// Absorbed edges that are farther apart belong to different streaks; and the least time from
    /// one report to the next.
    const STREAK_MS: u32 = 1_000;

    pub(super) const fn new() -> Self {
        Self {
            streak_from: Counter::new(0),
            last: Counter::new(0),
            reported_at: Counter::new(0),
            unreported: Counter::new(0),
        }
    }

    /// Notes edges that were absorbed, of which the first `arrived` then. Returns how many were
    /// since the last report, if there is to be one. How long they waited until they were judged
    /// does not matter.
    pub(super) fn record(
        &self,
        edges: usize,
        arrived: Timestamp,
        absorbable_ticks: u64,
        limits: InTicks<'_>,
    ) -> Option<usize> {
        let tolerated = limits.ms_to_ticks(Self::TOLERATED_MS);
        let streak = self.streak_ticks(arrived, limits.ms_to_ticks(Self::STREAK_MS));
        let unreported = self.unreported.load(Ordering::Relaxed).wrapping_add(edges);
        self.unreported.store(unreported, Ordering::Relaxed);
        let is_too_long = absorbable_ticks > tolerated || streak >= tolerated;
        let report = is_too_long && self.may_report(arrived, limits.ms_to_ticks(Self::STREAK_MS));
        if report {
            self.unreported.store(0, Ordering::Relaxed);
        }
        report.then_some(unreported)
    }

    /// How long ago the streak began to which an edge that comes now belongs.
    fn streak_ticks(&self, now: Timestamp, gap_ticks: u64) -> u64 {
        let from = self.streak_from.load(Ordering::Relaxed);
        let last = now.nearest_of(self.last.load(Ordering::Relaxed));
        self.last.store(now.word(), Ordering::Relaxed);
        if from == 0 || are_apart(now, last, gap_ticks) {
            self.streak_from.store(now.word() | 1, Ordering::Relaxed);
            return 0;
        }
        now.since(now.nearest_of(from))
    }

    /// Whether a report is due.
    fn may_report(&self, now: Timestamp, interval_ticks: u64) -> bool {
        let reported_at = self.reported_at.load(Ordering::Relaxed);
        let last = now.nearest_of(reported_at);
        if reported_at != 0 && !are_apart(now, last, interval_ticks) {
            return false;
        }
        self.reported_at.store(now.word() | 1, Ordering::Relaxed);
        true
    }
}

/// Whether two moments are more than `ticks` apart. Where the earlier one looks so much later, the
/// clock was reset in between.
fn are_apart(now: Timestamp, earlier: Timestamp, ticks: u64) -> bool {
    now.since(earlier) > ticks || earlier.since(now) > ticks
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::time::LimitsInForce;

    #[test]
    fn edges_of_one_streak_are_reported_by_when_they_came() {
        let (rationing, limits) = (Rationing::new(), LimitsInForce::new());
        let limits = || limits.in_ticks(1_000);
        let at = Timestamp::from_ticks;
        assert_eq!(rationing.record(1, at(4_500), 0, limits()), None);
        assert_eq!(rationing.record(1, at(9_700), 0, limits()), None);
        assert_eq!(rationing.record(1, at(14_600), 0, limits()), Some(3));
    }
}
