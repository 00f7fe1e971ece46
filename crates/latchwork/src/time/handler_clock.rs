// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long each handler of a dispatch took.

use super::timestamp::Timestamp;

/// Splits a dispatch among its handlers with one clock reading each.
pub(crate) struct HandlerClock {
    pub(crate) last_ticks: u64,
}

impl HandlerClock {
    #[inline(always)]
    pub(crate) fn started_at(arrived_ticks: u64) -> Self {
        Self { last_ticks: arrived_ticks }
    }

    /// The last reading.
    #[inline(always)]
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_ticks(self.last_ticks)
    }

    #[inline(always)]
    pub(crate) fn lap(&mut self, now_ticks: u64) -> u64 {
        let ticks = now_ticks.saturating_sub(self.last_ticks);
        self.last_ticks = now_ticks;
        ticks
    }
}
