// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a handler has done on each CPU.

use super::add;
use crate::{
    contract::Claim,
    primitive::{Counter, CounterU32, Ordering},
};

/// How many columns a handler's histogram has.
pub const HISTOGRAM_COLUMNS: usize = 7;

/// log2 of the first column's upper edge, in ticks.
const FIRST_COLUMN_LOG2: u32 = 8;

/// One handler's counters on one CPU: one cache line.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct HandlerCounters {
    calls: Counter,
    claims: Counter,
    total_ticks: Counter,
    max_ticks: CounterU32,
    histogram: [CounterU32; HISTOGRAM_COLUMNS],
    /// The millisecond of the last claim, modulo 2³².
    burst_ms_low: CounterU32,
    /// The claims of that millisecond, and above them the next 16 bits of its number.
    burst: CounterU32,
}

/// A millisecond: 48 bits of its number, which take 8,900 years to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Millisecond(u64);

impl Millisecond {
    const BITS: u64 = (1 << 48) - 1;

    pub(crate) const fn new(number: u64) -> Self {
        Self(number & Self::BITS)
    }

    /// How many milliseconds `earlier` is ago; very many if it is later.
    pub(crate) const fn since(self, earlier: Self) -> u64 {
        self.0.wrapping_sub(earlier.0) & Self::BITS
    }
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<HandlerCounters>() == 64, "one cache line per slot");

/// What a handler has done on one CPU since it was registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandlerStats {
    /// How often the CPU asked it.
    pub calls: usize,
    /// How often it claimed.
    pub claims: usize,
    /// The time that the CPU spent in it, in ticks. Wraps.
    pub total_ticks: usize,
    /// The longest call, in ticks; `u32::MAX` stands for that or more.
    pub max_ticks: u32,
    /// Calls by duration. Column 0 counts calls below 256 ticks, each further column those below
    /// twice as many, and the last column the rest. Wraps.
    pub histogram: [u32; HISTOGRAM_COLUMNS],
}

impl HandlerCounters {
    pub(crate) const fn new() -> Self {
        Self {
            calls: Counter::new(0),
            claims: Counter::new(0),
            total_ticks: Counter::new(0),
            max_ticks: CounterU32::new(0),
            histogram: [const { CounterU32::new(0) }; HISTOGRAM_COLUMNS],
            burst_ms_low: CounterU32::new(0),
            burst: CounterU32::new(0),
        }
    }

    /// Counts a claim in millisecond `ms`. Returns how many claims that millisecond has now. Own
    /// CPU, in NMI; one on top between two accesses can at worst make a count too small.
    #[inline(always)]
    pub(crate) fn count_claim_in(&self, ms: Millisecond) -> usize {
        let burst = self.burst.load(Ordering::Relaxed);
        let claims = if self.last_claim() == ms { burst & 0xFFFF } else { 0 };
        let claims = claims.saturating_add(1).min(0xFFFF);
        self.burst_ms_low.store(ms.0 as u32, Ordering::Relaxed);
        self.burst.store((ms.0 >> 16) as u32 & !0xFFFF | claims, Ordering::Relaxed);
        claims as usize
    }

    /// The millisecond in which the last claim was counted. Own CPU.
    #[inline(always)]
    pub(crate) fn last_claim(&self) -> Millisecond {
        let high = u64::from(self.burst.load(Ordering::Relaxed) >> 16);
        Millisecond(high << 32 | u64::from(self.burst_ms_low.load(Ordering::Relaxed)))
    }

    /// Own CPU, in NMI.
    #[inline(always)]
    pub(crate) fn record(&self, claim: Claim, ticks: u64) {
        add(&self.calls, 1);
        add(&self.claims, usize::from(claim != Claim::None));
        add(&self.total_ticks, ticks as usize);
        let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
        if ticks > self.max_ticks.load(Ordering::Relaxed) {
            self.max_ticks.store(ticks, Ordering::Relaxed);
        }
        if let Some(column) = self.histogram.get(column_of(ticks)) {
            column.store(column.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// Any CPU, while no dispatch can reach the slot.
    pub(crate) fn clear(&self) {
        self.calls.store(0, Ordering::Relaxed);
        self.claims.store(0, Ordering::Relaxed);
        self.total_ticks.store(0, Ordering::Relaxed);
        self.max_ticks.store(0, Ordering::Relaxed);
        for column in &self.histogram {
            column.store(0, Ordering::Relaxed);
        }
        self.burst_ms_low.store(0, Ordering::Relaxed);
        self.burst.store(0, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> HandlerStats {
        let mut histogram = [0; HISTOGRAM_COLUMNS];
        for (copy, column) in histogram.iter_mut().zip(&self.histogram) {
            *copy = column.load(Ordering::Relaxed);
        }
        HandlerStats {
            calls: self.calls.load(Ordering::Relaxed),
            claims: self.claims.load(Ordering::Relaxed),
            total_ticks: self.total_ticks.load(Ordering::Relaxed),
            max_ticks: self.max_ticks.load(Ordering::Relaxed),
            histogram,
        }
    }
}

#[inline(always)]
fn column_of(ticks: u32) -> usize {
    let below_first = (1 << FIRST_COLUMN_LOG2) - 1;
    let column = (ticks | below_first).ilog2().wrapping_sub(FIRST_COLUMN_LOG2 - 1) as usize;
    column.min(HISTOGRAM_COLUMNS - 1)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_column_that_the_documentation_names() {
        for (ticks, column) in
            [(0, 0), (255, 0), (256, 1), (511, 1), (512, 2), (8_191, 5), (8_192, 6), (u32::MAX, 6)]
        {
            assert_eq!(column_of(ticks), column, "{ticks}");
        }
    }

    #[test]
    fn a_claim_counts_with_those_of_its_own_millisecond_only() {
        let counters = HandlerCounters::new();
        for shift in [0, 10, 16, 31, 32, 47] {
            let ms = Millisecond::new(1 << shift);
            assert_eq!([1, 2, 3].map(|_| counters.count_claim_in(ms)), [1, 2, 3], "2^{shift}");
            assert_eq!((counters.last_claim(), ms.since(counters.last_claim())), (ms, 0));
        }
        let after_the_wrap = Millisecond::new((1 << 48) + 1);
        assert_eq!(after_the_wrap.since(Millisecond::new((1 << 48) - 1)), 2);
    }

    #[test]
    fn what_is_recorded_is_read() {
        let counters = HandlerCounters::new();
        counters.record(Claim::Handled, 100);
        counters.record(Claim::None, 300);
        let stats = counters.read();
        assert_eq!((stats.calls, stats.claims), (2, 1));
        assert_eq!((stats.total_ticks, stats.max_ticks), (400, 300));
        assert_eq!(stats.histogram.iter().sum::<u32>(), 2);
        counters.clear();
        assert_eq!(counters.read(), HandlerStats::default());
    }
}
