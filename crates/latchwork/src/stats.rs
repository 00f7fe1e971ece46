// SPDX-License-Identifier: MIT OR Apache-2.0
//! Statistics: per CPU, and per handler and CPU.
//!
//! Each counter is written by one CPU, in NMI, with a load and a store, and read from anywhere.
//! Nothing is decided by them. On x86 the pair compiles to one instruction, so an NMI that nests
//! cannot fall in between; elsewhere a nested NMI there can make a count one too small.

use crate::{
    grant::{GrantKind, LiveTime},
    primitive::{Counter, CounterU32, Ordering},
    unclaimed::UnclaimedBurst,
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
    /// The claims of the present millisecond, and above them which that is, modulo 2¹⁶.
    burst: CounterU32,
    /// The slot's generation when its last storm began, modulo 2³². Outlives the handler.
    storm_generation: CounterU32,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<HandlerCounters>() == 64, "one cache line per slot");

/// What a handler has done on one CPU since it was registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandlerStats {
    /// Times it was asked.
    pub calls: usize,
    /// Times it claimed.
    pub claims: usize,
    /// Time spent in it, in ticks. Wraps.
    pub total_ticks: usize,
    /// The longest call, in ticks; `u32::MAX` stands for that or more.
    pub max_ticks: u32,
    /// Calls by duration: column 0 counts those below 256 ticks, each next one those below twice as
    /// many, the last one the rest. Wraps.
    pub histogram: [u32; HISTOGRAM_COLUMNS],
}

#[inline(always)]
fn add(counter: &Counter, amount: usize) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
}

impl HandlerCounters {
    pub(crate) const fn new() -> Self {
        Self {
            calls: Counter::new(0),
            claims: Counter::new(0),
            total_ticks: Counter::new(0),
            max_ticks: CounterU32::new(0),
            histogram: [const { CounterU32::new(0) }; HISTOGRAM_COLUMNS],
            burst: CounterU32::new(0),
            storm_generation: CounterU32::new(0),
        }
    }

    /// Counts a claim in millisecond `ms`. Returns how many that makes there. Own CPU, in NMI.
    #[inline(always)]
    pub(crate) fn burst(&self, ms: u16) -> usize {
        let burst = self.burst.load(Ordering::Relaxed);
        let claims = if burst >> 16 == ms.into() { burst & 0xFFFF } else { 0 };
        let claims = claims.saturating_add(1).min(0xFFFF);
        self.burst.store(u32::from(ms) << 16 | claims, Ordering::Relaxed);
        claims as usize
    }

    /// In which millisecond the last claim was counted. Own CPU.
    pub(crate) fn burst_ms(&self) -> u16 {
        (self.burst.load(Ordering::Relaxed) >> 16) as u16
    }

    /// A storm of the handler of this generation begins. Own CPU, inside the read side.
    pub(crate) fn storm_begins(&self, generation: usize) {
        self.storm_generation.store(generation as u32, Ordering::Relaxed);
    }

    /// Of which generation the last storm was, now that the slot's is `generation`. Own CPU.
    pub(crate) fn storm_began(&self, generation: usize) -> usize {
        let began = self.storm_generation.load(Ordering::Relaxed);
        generation.wrapping_sub((generation as u32).wrapping_sub(began) as usize)
    }

    /// Own CPU, in NMI.
    #[inline(always)]
    pub(crate) fn record(&self, claimed: bool, ticks: u64) {
        add(&self.calls, 1);
        add(&self.claims, usize::from(claimed));
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

/// One CPU's counters.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct CpuCounters {
    edges: Counter,
    claimed: Counter,
    absorbed: [Counter; GrantKind::ALL.len()],
    deferred: Counter,
    unknown: Counter,
    requests: Counter,
    nested: Counter,
    offline: Counter,
    dropped: Counter,
    total_ticks: Counter,
    max_ticks: Counter,
    pub(crate) unclaimed: UnclaimedBurst,
}

/// What one CPU has seen since [`Nmi::init`](crate::Nmi::init).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CpuStats {
    /// Edges that were dispatched: all but those of an offline CPU and those nested too deep.
    pub edges: usize,
    /// Edges that a request or a handler explained.
    pub claimed: usize,
    /// Edges absorbed as explained by an earlier claim, deferred ones that were settled so included.
    pub absorbed: usize,
    /// The same by [kind](GrantKind), in the order of its variants.
    pub absorbed_by_kind: [usize; 4],
    /// Edges that found another CPU at the Platform handlers. Each is settled later, and then among
    /// `absorbed` or `unknown` too, unless an Unknown handler claimed it.
    pub deferred: usize,
    /// Edges that nothing explained.
    pub unknown: usize,
    /// Software requests taken.
    pub requests: usize,
    /// Edges that arrived while this CPU was in an NMI already.
    pub nested: usize,
    /// Edges that arrived while this CPU was offline, and returned at once.
    pub offline: usize,
    /// Software requests that were dropped because this CPU was offline; not among `requests`.
    pub requests_dropped: usize,
    /// Time spent in dispatch, in ticks, without what runs after leaving. Wraps.
    pub total_ticks: usize,
    /// The longest dispatch, in ticks.
    pub max_ticks: usize,
    /// The time in which an edge could have been absorbed: what a true unknown may be hidden by, in ticks.
    /// Wraps.
    pub absorbable_ticks: usize,
    /// The longest such time without a gap, in ticks: the worst case so far in which a true unknown could
    /// have been hidden here.
    pub longest_absorbable_ticks: usize,
}

/// How one dispatch ended, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Claimed,
    /// Counted where it is known by what kind of grant.
    Absorbed,
    Deferred,
    Unknown,
}

impl CpuCounters {
    pub(crate) const fn new() -> Self {
        Self {
            edges: Counter::new(0),
            claimed: Counter::new(0),
            absorbed: [const { Counter::new(0) }; GrantKind::ALL.len()],
            deferred: Counter::new(0),
            unknown: Counter::new(0),
            requests: Counter::new(0),
            nested: Counter::new(0),
            offline: Counter::new(0),
            dropped: Counter::new(0),
            total_ticks: Counter::new(0),
            max_ticks: Counter::new(0),
            unclaimed: UnclaimedBurst::new(),
        }
    }

    pub(crate) fn record_requests(&self, requests: usize) {
        add(&self.requests, requests);
    }

    pub(crate) fn record_offline(&self) {
        add(&self.offline, 1);
    }

    pub(crate) fn record_dropped(&self, requests: usize) {
        add(&self.dropped, requests);
    }

    pub(crate) fn record_nested(&self) {
        add(&self.nested, 1);
    }

    pub(crate) fn record_absorbed(&self, kind: GrantKind) {
        if let Some(absorbed) = self.absorbed.get(kind as usize) {
            add(absorbed, 1);
        }
    }

    pub(crate) fn record_unknown(&self) -> usize {
        add(&self.unknown, 1);
        self.unknown.load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(crate) fn record(&self, ending: Ending, ticks: u64) {
        add(&self.edges, 1);
        match ending {
            Ending::Claimed => add(&self.claimed, 1),
            Ending::Deferred => add(&self.deferred, 1),
            Ending::Absorbed | Ending::Unknown => {}
        }
        add(&self.total_ticks, ticks as usize);
        if ticks as usize > self.max_ticks.load(Ordering::Relaxed) {
            self.max_ticks.store(ticks as usize, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self, live_time: &LiveTime) -> CpuStats {
        let mut absorbed_by_kind = [0; GrantKind::ALL.len()];
        for (copy, absorbed) in absorbed_by_kind.iter_mut().zip(&self.absorbed) {
            *copy = absorbed.load(Ordering::Relaxed);
        }
        let (absorbable_ticks, longest_absorbable_ticks) = live_time.read();
        CpuStats {
            edges: self.edges.load(Ordering::Relaxed),
            claimed: self.claimed.load(Ordering::Relaxed),
            absorbed: absorbed_by_kind.iter().fold(0, |sum: usize, it| sum.wrapping_add(*it)),
            absorbed_by_kind,
            deferred: self.deferred.load(Ordering::Relaxed),
            unknown: self.unknown.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            nested: self.nested.load(Ordering::Relaxed),
            offline: self.offline.load(Ordering::Relaxed),
            requests_dropped: self.dropped.load(Ordering::Relaxed),
            total_ticks: self.total_ticks.load(Ordering::Relaxed),
            max_ticks: self.max_ticks.load(Ordering::Relaxed),
            absorbable_ticks,
            longest_absorbable_ticks,
        }
    }
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
    fn what_is_recorded_is_read() {
        let counters = HandlerCounters::new();
        counters.record(true, 100);
        counters.record(false, 300);
        let stats = counters.read();
        assert_eq!((stats.calls, stats.claims), (2, 1));
        assert_eq!((stats.total_ticks, stats.max_ticks), (400, 300));
        assert_eq!(stats.histogram.iter().sum::<u32>(), 2);
        counters.clear();
        assert_eq!(counters.read(), HandlerStats::default());
    }
}
