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
    edge::{Batch, EdgeRecord, Edges, RECORDS},
    primitive::{Ordering, OwnWord, array_of, const_unless_loom},
    time::{InTicks, OwnTime, Timestamp},
};

/// For more edges a record has no room: so many without a condition are a storm, which need not
/// wait to be called unknown.
const MOST_EDGES: usize = 64;

const _: () = assert!(MOST_EDGES > EdgeModel::MOST_LATE_EDGES as usize, "a condition's rings fit");

/// One CPU's deferred edges: a ring of records, whose oldest one is `first`.
#[derive(Debug)]
pub(crate) struct DeferredEdges {
    in_use: OwnWord,
    first: OwnWord,
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
                first: OwnWord::new(0),
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
        let first = if self.has_waiting() { self.record(0) } else { None };
        first.map(|record| record.edge.arrived())
    }

    /// Records edges that came while another CPU asked the Platform handlers, in the poll
    /// `overlapped`. Returns for how many there was no room.
    #[must_use]
    pub(crate) fn defer(&self, overlapped: PollNumber, edges: Edges) -> usize {
        let in_use = self.in_use.load(Ordering::Relaxed);
        let place = in_use.min(RECORDS - 1);
        let Some(record) = self.record(place) else { return edges.count };
        let before = if place == in_use { 0 } else { record.edges.load(Ordering::Relaxed) };
        let added = edges.count.min(MOST_EDGES.saturating_sub(before));
        if added == 0 {
            return edges.count;
        }
        if place == in_use {
            record.edge.set(&edges.edge);
            record.seen.set(edges.edge.seen);
            self.in_use.store(in_use.wrapping_add(1), Ordering::Relaxed);
        }
        record.edges.store(before.saturating_add(added), Ordering::Relaxed);
        record.overlapped.store(overlapped.word(), Ordering::Relaxed);
        edges.count.saturating_sub(added)
    }

    /// Takes out the edges that are to be judged now: a poll that began after the one they
    /// overlapped is over, or they have waited for the cap.
    pub(crate) fn take_due(&self, polls: &PollLock, now: Timestamp, limits: InTicks<'_>) -> Batch {
        let mut due = [Edges::NONE; RECORDS];
        for place in &mut due {
            let record = if self.has_waiting() { self.record(0) } else { None };
            let Some(record) = record else { break };
            let edge = record.edge.seen_at(record.seen.get());
            let overlapped = PollNumber::from_word(record.overlapped.load(Ordering::Relaxed));
            // An edge that is to come so much later is of a clock that was reset.
            let has_waited = now.since(edge.seen).max(edge.seen.since(now));
            if !polls.has_ended_after(overlapped) && has_waited <= limits.cap() {
                break;
            }
            *place = Edges { edge, count: record.edges.load(Ordering::Relaxed) };
            self.take_first();
        }
        due
    }

    /// Forgets all; returns how many edges that were.
    pub(crate) fn reset(&self) -> usize {
        let mut edges: usize = 0;
        for place in 0..self.in_use.load(Ordering::Relaxed).min(RECORDS) {
            let count = self.record(place).map_or(0, |it| it.edges.load(Ordering::Relaxed));
            edges = edges.saturating_add(count);
        }
        self.in_use.store(0, Ordering::Relaxed);
        edges
    }

    /// The record in this place, of those in use or of those that are free and come next.
    fn record(&self, place: usize) -> Option<&Record> {
        let first = self.first.load(Ordering::Relaxed);
        self.records.get(first.wrapping_add(place) % RECORDS)
    }

    fn take_first(&self) {
        let first = self.first.load(Ordering::Relaxed);
        self.first.store(first.wrapping_add(1) % RECORDS, Ordering::Relaxed);
        let in_use = self.in_use.load(Ordering::Relaxed);
        self.in_use.store(in_use.saturating_sub(1), Ordering::Relaxed);
    }
}
