// SPDX-License-Identifier: MIT OR Apache-2.0
//! An edge that a CPU took: what the library remembers of it if it does not know yet what the edge
//! was.

use crate::{
    contract::Mode,
    primitive::{Ordering, OwnWord, const_unless_loom},
    time::{OwnTime, Timestamp},
};

/// An edge: when it came, and what it interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) arrived: Timestamp,
    /// When its CPU's outermost code saw it: as it arrived, or, if it came on top, when that code
    /// took it from the [tray](crate::grant). Claims of until then may explain it.
    pub(crate) seen: Timestamp,
    pub(crate) ip: usize,
    pub(crate) mode: Mode,
}

impl Edge {
    /// No edge, in a place for one.
    pub(crate) const NONE: Self = Self {
        arrived: Timestamp::from_ticks(0),
        seen: Timestamp::from_ticks(0),
        ip: 0,
        mode: Mode::Kernel,
    };
}

/// Edges of which only the first one's record is kept: they are judged together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edges {
    pub(crate) edge: Edge,
    pub(crate) count: usize,
}

impl Edges {
    /// No edges, in a place for some.
    pub(crate) const NONE: Self = Self { edge: Edge::NONE, count: 0 };

    /// That edge alone.
    pub(crate) const fn one(edge: Edge) -> Self {
        Self { edge, count: 1 }
    }

    pub(crate) const fn is_none(&self) -> bool {
        self.count == 0
    }
}

/// So many edges that wait keep what they interrupted; further ones share that of the last of
/// these, and are judged with it.
pub(crate) const RECORDS: usize = 4;

/// Edges that are judged in one go: the oldest first.
pub(crate) type Batch = [Edges; RECORDS];

/// A place for an edge.
#[derive(Debug)]
pub(crate) struct EdgeRecord {
    arrived: OwnTime,
    ip: OwnWord,
    is_user: OwnWord,
}

impl EdgeRecord {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self { arrived: OwnTime::new(), ip: OwnWord::new(0), is_user: OwnWord::new(0) }
        }
    }

    pub(crate) fn set(&self, edge: &Edge) {
        self.arrived.set(edge.arrived);
        self.ip.store(edge.ip, Ordering::Relaxed);
        self.is_user.store(usize::from(edge.mode == Mode::User), Ordering::Relaxed);
    }

    pub(crate) fn arrived(&self) -> Timestamp {
        self.arrived.get()
    }

    /// The edge, as code sees it that began to look `now`. It may have come since.
    pub(crate) fn seen_at(&self, now: Timestamp) -> Edge {
        let seen = now.later_of(self.arrived());
        let mode = match self.is_user.load(Ordering::Relaxed) {
            0 => Mode::Kernel,
            _ => Mode::User,
        };
        Edge { arrived: self.arrived(), seen, ip: self.ip.load(Ordering::Relaxed), mode }
    }
}
