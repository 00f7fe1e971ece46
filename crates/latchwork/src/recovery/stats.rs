// SPDX-License-Identifier: MIT OR Apache-2.0
//! What recovery has done: the numbers that tell a user what was being lost.

use super::{mode::Recovery, reason::PollReason};
use crate::primitive::{Counter, Ordering};

/// What recovery has done since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryStats {
    /// How often a CPU asked the Platform handlers, for whatever reason.
    pub polls: usize,
    /// Conditions that a poll found for which no unexplained edge asked: their ring had collapsed
    /// into another, or had never come. Without recovery they would have been lost, or late.
    pub recovered: usize,
    /// Polls that ticks made, outside NMIs, and ticks that sent a probe.
    pub paid_by_tick: usize,
    /// Probes among them.
    pub probes: usize,
    /// Polls that NMIs made because they found the debt overdue.
    pub paid_overdue: usize,
}

/// The holder of the poll lock counts, except for `probes` and `paid_by_tick`, to which any CPU
/// adds.
#[derive(Debug)]
pub(crate) struct RecoveryCounters {
    polls: Counter,
    recovered: Counter,
    paid_by_tick: Counter,
    probes: Counter,
    paid_overdue: Counter,
}

impl RecoveryCounters {
    pub(crate) const fn new() -> Self {
        Self {
            polls: Counter::new(0),
            recovered: Counter::new(0),
            paid_by_tick: Counter::new(0),
            probes: Counter::new(0),
            paid_overdue: Counter::new(0),
        }
    }

    pub(super) fn count_poll(&self, reason: PollReason) {
        self.polls.fetch_add(1, Ordering::Relaxed);
        self.paid_overdue.fetch_add(usize::from(reason == PollReason::Overdue), Ordering::Relaxed);
    }

    pub(super) fn count_recovered(&self) {
        self.recovered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_tick(&self, paid_by: Recovery) {
        self.paid_by_tick.fetch_add(1, Ordering::Relaxed);
        self.probes.fetch_add(usize::from(paid_by == Recovery::ProbeNmi), Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> RecoveryStats {
        RecoveryStats {
            polls: self.polls.load(Ordering::Relaxed),
            recovered: self.recovered.load(Ordering::Relaxed),
            paid_by_tick: self.paid_by_tick.load(Ordering::Relaxed),
            probes: self.probes.load(Ordering::Relaxed),
            paid_overdue: self.paid_overdue.load(Ordering::Relaxed),
        }
    }
}
