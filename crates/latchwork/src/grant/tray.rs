// SPDX-License-Identifier: MIT OR Apache-2.0
//! What NMIs on top of others leave to the outermost code of their CPU.
//!
//! Rule: only the outermost code touches the ledger, so an NMI on top of it leaves here what it
//! claimed and that its edge came. The outermost code takes it into its own balance.
//!
//! Own CPU only. NMIs on top add, each from its beginning to its end before what is underneath goes
//! on: so they reserve a record before they fill it. The outermost code empties the tray by
//! exchanges; an NMI that comes in between makes the exchange fail, or finds the tray empty.

use super::rings::Rings;
use crate::{
    contract::HANDLERS_PER_CLASS,
    edge::{Edge, EdgeRecord},
    primitive::{Ordering, OwnWord, array_of, const_unless_loom},
    time::Timestamp,
};

/// So many edges keep what they interrupted; further ones share that of the last of these.
const RECORDS: usize = 4;

/// For more edges there is no room: so many without a condition are a storm, which need not wait to
/// be called unknown.
const MOST_EDGES: usize = 64;

/// How often the outermost code tries to take the edges. Each failure is an NMI in between.
const TRIES: usize = 16;

/// What NMIs on top left.
#[derive(Debug)]
pub(crate) struct Tray {
    /// Whether there may be something.
    left: OwnWord,
    /// How many edges nothing has explained.
    edges: OwnWord,
    records: [EdgeRecord; RECORDS],
    /// Whether the first record is filled.
    has_first: OwnWord,
    /// How many edges brought an NMI to claim, and the rings that those NMIs claimed.
    claimed_edges: OwnWord,
    doorbells: OwnWord,
    sends: OwnWord,
    late_edges: OwnWord,
    /// How late the latest of these come; more than that if some were taken since.
    late_us: OwnWord,
    /// The low part of the moment at which the last of them was claimed.
    claimed: OwnWord,
    /// Whether an NMI has to ask the Platform handlers: a probe, or one whose source says so.
    asks_platform: OwnWord,
}

/// What NMIs on top claimed, as the outermost code takes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClaimsOnTop {
    pub(crate) edges: usize,
    pub(crate) rings: Rings,
    claimed: usize,
}

/// The edges that nothing has explained, as the outermost code takes them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EdgesOnTop {
    edges: usize,
    records: [Edge; RECORDS],
}

impl Tray {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                left: OwnWord::new(0),
                edges: OwnWord::new(0),
                records: array_of![EdgeRecord::new(); RECORDS],
                has_first: OwnWord::new(0),
                claimed_edges: OwnWord::new(0),
                doorbells: OwnWord::new(0),
                sends: OwnWord::new(0),
                late_edges: OwnWord::new(0),
                late_us: OwnWord::new(0),
                claimed: OwnWord::new(0),
                asks_platform: OwnWord::new(0),
            }
        }
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    /// When the first edge came that nothing has explained.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        let first = self.records.first().filter(|_| self.has_first.load(Ordering::Relaxed) != 0);
        first.map(EdgeRecord::arrived)
    }

    /// Leaves what an NMI on top has claimed by now. The rings come first: whoever finds the edge
    /// finds them.
    pub(crate) fn leave_claims(&self, rings: &Rings, clock: impl FnOnce() -> Timestamp) {
        self.doorbells.fetch_add(rings.of_doorbells(), Ordering::Relaxed);
        self.sends.fetch_add(rings.sends(), Ordering::Relaxed);
        self.add_late_edges(rings.late_edges(), rings.late_us());
        self.note_claimed(clock);
        self.claimed_edges.fetch_add(1, Ordering::Relaxed);
        self.left.store(1, Ordering::Relaxed);
    }

    /// Each failure is an NMI on top that named more, so there are no more failures than handlers.
    fn add_late_edges(&self, edges: usize, late_us: u32) {
        if edges == 0 {
            return;
        }
        for _ in 0..HANDLERS_PER_CLASS {
            let before = self.late_us.load(Ordering::Relaxed);
            let after = before.max(late_us as usize);
            let raised =
                self.late_us.compare_exchange(before, after, Ordering::Relaxed, Ordering::Relaxed);
            if raised.is_ok() {
                break;
            }
        }
        self.late_edges.fetch_add(edges, Ordering::Relaxed);
    }

    /// Notes that all that is left was claimed by now. The exchange fails if an NMI on top has
    /// noted a later moment.
    fn note_claimed(&self, clock: impl FnOnce() -> Timestamp) {
        let before = self.claimed.load(Ordering::Relaxed);
        let now = clock().word();
        let _ = self.claimed.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Leaves it to the outermost code to ask the Platform handlers.
    pub(crate) fn leave_question(&self) {
        self.asks_platform.store(1, Ordering::Relaxed);
        self.left.store(1, Ordering::Relaxed);
    }

    /// Whether the Platform handlers must be asked; if so, the caller asks them.
    pub(crate) fn take_question(&self) -> bool {
        self.asks_platform.swap(0, Ordering::Relaxed) != 0
    }

    /// Leaves rings that no edge has brought, that were claimed by now and may come late.
    pub(crate) fn leave_rings(
        &self,
        rings: usize,
        late_us: u32,
        clock: impl FnOnce() -> Timestamp,
    ) {
        self.add_late_edges(rings, late_us);
        self.note_claimed(clock);
        self.left.store(1, Ordering::Relaxed);
    }

    /// Leaves an edge that nothing has explained. Returns whether there was room.
    #[must_use]
    pub(crate) fn leave_edge(&self, edge: &Edge) -> bool {
        let place = self.edges.fetch_add(1, Ordering::Relaxed);
        if place >= MOST_EDGES {
            self.edges.fetch_add(usize::MAX, Ordering::Relaxed);
            return false;
        }
        if let Some(record) = self.records.get(place) {
            record.set(edge);
        }
        if place == 0 {
            self.has_first.store(1, Ordering::Relaxed);
        }
        self.left.store(1, Ordering::Relaxed);
        true
    }

    /// Takes what NMIs on top claimed. The outermost code. The edges come first: whoever finds an
    /// edge finds its rings. How late these come, and when they were claimed, come last; what an
    /// NMI has left meanwhile makes that later.
    pub(crate) fn take_claims(&self) -> ClaimsOnTop {
        let edges = self.claimed_edges.swap(0, Ordering::Relaxed);
        let doorbells = self.doorbells.swap(0, Ordering::Relaxed);
        let sends = self.sends.swap(0, Ordering::Relaxed);
        let late_us_before = self.late_us.swap(0, Ordering::Relaxed);
        let late_edges = self.late_edges.swap(0, Ordering::Relaxed);
        let late_us = late_us_before.max(self.late_us.load(Ordering::Relaxed)) as u32;
        let claimed = self.claimed.load(Ordering::Relaxed);
        let rings = Rings::left_on_top(doorbells, sends, late_edges, late_us);
        ClaimsOnTop { edges, rings, claimed }
    }

    /// Forgets all; returns how many edges that were which nothing has explained.
    pub(crate) fn reset(&self) -> usize {
        let edges = self.take_edges().edges;
        self.take_claims();
        edges
    }

    /// Takes the edges. The outermost code, which then takes the claims as well.
    pub(crate) fn take_edges(&self) -> EdgesOnTop {
        self.left.store(0, Ordering::Relaxed);
        let mut records = [Edge::NONE; RECORDS];
        for _ in 0..TRIES {
            let edges = self.edges.load(Ordering::Relaxed);
            for (copy, record) in records.iter_mut().zip(&self.records).take(edges) {
                *copy = record.get();
            }
            self.has_first.store(0, Ordering::Relaxed);
            let taken = self.edges.compare_exchange(edges, 0, Ordering::Relaxed, Ordering::Relaxed);
            if taken.is_ok() {
                return EdgesOnTop { edges, records };
            }
        }
        EdgesOnTop { edges: 0, records }
    }
}

impl ClaimsOnTop {
    /// When the last of them was claimed, for a CPU at `now`.
    pub(crate) fn claimed(&self, now: Timestamp) -> Timestamp {
        now.nearest_of(self.claimed).earlier_of(now)
    }
}

impl EdgesOnTop {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Edge> {
        let last = RECORDS.saturating_sub(1);
        (0..self.edges).filter_map(move |edge| self.records.get(edge.min(last)).copied())
    }
}
