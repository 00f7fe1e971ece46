// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long a CPU could have absorbed an edge: in all, and without a gap.
//!
//! Rule: a span is never counted too short.
//!
//! Own CPU only. The CPU looks at it where the pool changes and at open points, so it notes the end
//! of a span a little late, never early.

use crate::{
    primitive::{Counter, Ordering, OwnWord, const_unless_loom},
    time::Timestamp,
};

const LIVE: usize = 1;

/// The statistics of a pool's life.
#[derive(Debug)]
pub(crate) struct LiveTime {
    /// 0, or the time since which the pool has been live, with bit 0 set.
    since: OwnWord,
    total_ticks: Counter,
    longest_ticks: Counter,
}

impl LiveTime {
    const_unless_loom! {
        pub(super) fn new() -> Self {
            Self {
                since: OwnWord::new(0),
                total_ticks: Counter::new(0),
                longest_ticks: Counter::new(0),
            }
        }
    }

    /// Notes that the pool is live; perhaps it was before.
    pub(super) fn begins(&self, now: Timestamp) {
        if self.since.load(Ordering::Relaxed) == 0 {
            self.since.store(now.word() | LIVE, Ordering::Relaxed);
        }
    }

    /// Notes that the pool is not live; perhaps it was before.
    pub(super) fn ends(&self, now: Timestamp) {
        let since = self.since.load(Ordering::Relaxed);
        if since == 0 {
            return;
        }
        self.since.store(0, Ordering::Relaxed);
        let ticks = usize::try_from(now.since(now.nearest_of(since))).unwrap_or(usize::MAX);
        let total = self.total_ticks.load(Ordering::Relaxed).wrapping_add(ticks);
        self.total_ticks.store(total, Ordering::Relaxed);
        if ticks > self.longest_ticks.load(Ordering::Relaxed) {
            self.longest_ticks.store(ticks, Ordering::Relaxed);
        }
    }

    /// How long the pool has been live without a gap.
    pub(super) fn ticks_so_far(&self, now: Timestamp) -> u64 {
        match self.since.load(Ordering::Relaxed) {
            0 => 0,
            since => now.since(now.nearest_of(since)),
        }
    }

    /// The ticks in which this CPU could have absorbed an edge, in all and the most without a gap.
    /// Any CPU may read them; a span that has not ended is not in them yet.
    pub(crate) fn read(&self) -> (usize, usize) {
        let total = self.total_ticks.load(Ordering::Relaxed);
        (total, self.longest_ticks.load(Ordering::Relaxed))
    }
}
