// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each CPU has counted.

use super::{add, unclaimed::UnclaimedBurst};
use crate::{
    contract::GrantKind,
    grant::LiveTime,
    primitive::{Counter, Ordering},
};

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
    edges_dropped: Counter,
    total_ticks: Counter,
    max_ticks: Counter,
    pub(crate) unclaimed: UnclaimedBurst,
}

/// What one CPU has counted since [`Nmi::init`](crate::Nmi::init).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CpuStats {
    /// Edges that the CPU dispatched: all but those that came while it was offline, and those
    /// nested too deep.
    pub edges: usize,
    /// Edges that a request or a handler explained.
    pub claimed: usize,
    /// Edges that an earlier claim explained, so that the CPU absorbed them; deferred edges that it
    /// settled in this way are among them.
    pub absorbed: usize,
    /// The absorbed edges by [kind](GrantKind), in the order of its variants.
    pub absorbed_by_kind: [usize; 4],
    /// Edges that came while another CPU asked the Platform handlers, or on top of another
    /// dispatch. The CPU settles each of them later, and then counts it in `absorbed` or `unknown`
    /// as well, unless an Unknown handler claims it.
    pub deferred: usize,
    /// Edges that nothing explained.
    pub unknown: usize,
    /// Software requests that the CPU took.
    pub requests: usize,
    /// Edges that arrived while this CPU was in an NMI already.
    pub nested: usize,
    /// Edges that arrived while this CPU was offline; dispatch returned immediately.
    pub offline: usize,
    /// Software requests that the CPU dropped because it was offline; they are not in `requests`.
    pub requests_dropped: usize,
    /// Deferred edges that the CPU could not judge: it was stopped by force before.
    pub edges_dropped: usize,
    /// The time that the CPU spent in dispatch, in ticks, without what runs after leaving. Wraps.
    pub total_ticks: usize,
    /// The longest dispatch, in ticks.
    pub max_ticks: usize,
    /// For how long the CPU could have absorbed an edge, in ticks: the time in which a true unknown
    /// may have been hidden. Wraps.
    pub absorbable_ticks: usize,
    /// The longest such time without a gap, in ticks: so far the worst case in which a true unknown
    /// could have been hidden on this CPU.
    pub longest_absorbable_ticks: usize,
}

/// How one dispatch ended, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Claimed,
    /// Counted where the kind of the grant is known.
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
            edges_dropped: Counter::new(0),
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

    pub(crate) fn record_edges_dropped(&self, edges: usize) {
        add(&self.edges_dropped, edges);
    }

    pub(crate) fn record_absorbed(&self, kind: GrantKind, edges: usize) {
        if let Some(absorbed) = self.absorbed.get(kind as usize) {
            add(absorbed, edges);
        }
    }

    pub(crate) fn record_unknown(&self, edges: usize) -> usize {
        add(&self.unknown, edges);
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
            edges_dropped: self.edges_dropped.load(Ordering::Relaxed),
            total_ticks: self.total_ticks.load(Ordering::Relaxed),
            max_ticks: self.max_ticks.load(Ordering::Relaxed),
            absorbable_ticks,
            longest_absorbable_ticks,
        }
    }
}
