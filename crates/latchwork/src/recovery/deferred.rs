// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deferred edges: nothing on their CPU explained them while another CPU asked the Platform
//! handlers.
//!
//! Whether that poll would have found the edge's condition is known only later: it may have looked
//! at the source before. So the CPU records when the edge came and which poll it overlapped, and
//! owes a poll. It judges the edge itself, at its tick or next NMI, once a later poll is over: by
//! then both polls have published what they claimed, and a ring of those claims explains the edge
//! or none does. If a poll does not end within the cap, its CPU is stuck, and the edge is judged
//! without it.
//!
//! Own CPU only, outermost, so plain loads and stores do.

use super::poll_lock::{PollLock, PollNumber};
use crate::{
    contract::EdgeModel,
    edge::{Edge, EdgeRecord},
    primitive::{Ordering, OwnWord, array_of, const_unless_loom},
    time::{InTicks, OwnTime, Timestamp},
};

/// So many edges keep what they interrupted. Further ones are counted with the last record, and
/// judged with it.
const RECORDS: usize = 4;

/// For more edges there is no room: so many without a condition are a storm, which need not wait to
/// be called unknown.
const MOST_EDGES: usize = 64;

const _: () = assert!(MOST_EDGES > EdgeModel::MOST_LATE_EDGES as usize, "a condition's rings fit");

/// One CPU's deferred edges: those in use come first, the oldest before all others.
#[derive(Debug)]
pub(crate) struct DeferredEdges {
    in_use: OwnWord,
    records: [Record; RECORDS],
}

#[derive(Debug)]
struct Record {
    /// The poll that the last of the edges overlapped.
    overlapped: OwnWord,
    edges: OwnWord,
    /// The first of them, and when it was seen.
    edge: EdgeRecord,
    seen: OwnTime,
}

impl DeferredEdges {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                in_use: OwnWord::new(0),
                records: array_of![Record {
                    overlapped: OwnWord::new(0),
                    edges: OwnWord::new(0),
                    edge: EdgeRecord::new(),
                    seen: OwnTime::new(),
                }; RECORDS],
            }
        }
    }

    /// Whether an edge waits here.
    #[inline(always)]
    pub(crate) fn has_waiting(&self) -> bool {
        self.in_use.load(Ordering::Relaxed) != 0
    }

    /// When the oldest edge came.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        let first = self.records.first().filter(|_| self.has_waiting());
        first.map(|record| record.edge.arrived())
    }

    /// Records an edge that came while another CPU asked the Platform handlers, in the poll
    /// `overlapped`. Returns whether there was room.
    #[must_use]
    pub(crate) fn defer(&self, overlapped: PollNumber, edge: &Edge) -> bool {
        let in_use = self.in_use.load(Ordering::Relaxed);
        if let Some(record) = self.records.get(in_use) {
            record.edge.set(edge);
            record.seen.set(edge.seen);
            record.edges.store(1, Ordering::Relaxed);
            record.overlapped.store(overlapped.word(), Ordering::Relaxed);
            self.in_use.store(in_use.wrapping_add(1), Ordering::Relaxed);
        } else if let Some(last) = self.records.last() {
            let edges = last.edges.load(Ordering::Relaxed);
            if edges >= MOST_EDGES {
                return false;
            }
            last.edges.store(edges.saturating_add(1), Ordering::Relaxed);
            last.overlapped.store(overlapped.word(), Ordering::Relaxed);
        }
        true
    }

    /// Takes out an edge that is to be judged now: a poll that began after the one it overlapped is
    /// over, or the edge has waited for the cap.
    pub(crate) fn next_due(
        &self,
        polls: &PollLock,
        now: Timestamp,
        limits: InTicks<'_>,
    ) -> Option<Edge> {
        let record = self.records.first().filter(|_| self.has_waiting())?;
        let edge = record.edge.seen_at(record.seen.get());
        let overlapped = PollNumber::from_word(record.overlapped.load(Ordering::Relaxed));
        // An edge that is to come so much later is of a clock that was reset.
        let has_waited = now.since(edge.seen).max(edge.seen.since(now));
        if !polls.has_ended_after(overlapped) && has_waited <= limits.cap() {
            return None;
        }
        self.take_first(record);
        Some(edge)
    }

    /// Forgets all; returns how many edges that were.
    pub(crate) fn reset(&self) -> usize {
        let records = self.records.iter().take(self.in_use.swap(0, Ordering::Relaxed));
        records.fold(0, |sum, it| sum.saturating_add(it.edges.load(Ordering::Relaxed)))
    }

    fn take_first(&self, record: &Record) {
        match record.edges.load(Ordering::Relaxed).saturating_sub(1) {
            0 => self.move_up(),
            edges => record.edges.store(edges, Ordering::Relaxed),
        }
    }

    fn move_up(&self) {
        let in_use = self.in_use.load(Ordering::Relaxed);
        for (to, from) in self.records.iter().zip(self.records.iter().skip(1)).take(in_use) {
            to.overlapped.store(from.overlapped.load(Ordering::Relaxed), Ordering::Relaxed);
            to.edges.store(from.edges.load(Ordering::Relaxed), Ordering::Relaxed);
            to.seen.set(from.seen.get());
            to.edge.set(&from.edge.seen_at(from.seen.get()));
        }
        self.in_use.store(in_use.saturating_sub(1), Ordering::Relaxed);
    }
}
