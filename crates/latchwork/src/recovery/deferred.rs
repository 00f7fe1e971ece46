// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deferred edges: nothing on their CPU explained them, and the Platform handlers were being asked by
//! somebody else.
//!
//! Whether that poll would have found their condition is known only later: it may have looked at the
//! source before. So the CPU writes down when the edge came and which poll it overlapped, owes a poll, and
//! settles the edge itself, at its tick or next NMI, once a later poll has finished. The edge is explained if
//! the poll that it overlapped or a later one claimed anything, or a grant is there for it; else it is
//! unknown. No other CPU settles it: that would look at its own grants.
//!
//! Own CPU only, in NMI or with interrupts off. One word says that a record is in use; an NMI on top that
//! uses or settles it makes the exchange of that word fail.

use super::poll_lock::{PollLock, PollNumber};
use crate::{
    moment::Moment,
    primitive::{Ordering, OwnWord, array_of, const_unless_loom},
};

/// How many edges a CPU can have deferred one by one. More of them before a poll has finished are counted
/// with the last record, and settled with it.
const RECORDS: usize = 4;

/// The count lies where a poll's number has no bits.
const MOST_EDGES: usize = 63;

/// One CPU's deferred edges.
#[derive(Debug)]
pub(crate) struct DeferredEdges {
    waiting: OwnWord,
    records: [Record; RECORDS],
}

#[derive(Debug)]
struct Record {
    /// 0, or the number of the poll and how many edges.
    poll_and_edges: OwnWord,
    arrived: OwnWord,
    ip: OwnWord,
}

/// A deferred edge, or several, of which it is known now what they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) edges: usize,
    pub(crate) explained: bool,
    /// Of the first of them.
    pub(crate) arrived: Moment,
    /// Where the first of them interrupted.
    pub(crate) ip: usize,
}

impl DeferredEdges {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                waiting: OwnWord::new(0),
                records: array_of![Record {
                    poll_and_edges: OwnWord::new(0),
                    arrived: OwnWord::new(0),
                    ip: OwnWord::new(0),
                }; RECORDS],
            }
        }
    }

    /// Something may wait here.
    #[inline(always)]
    pub(crate) fn any(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn defer(&self, overlapped: PollNumber, arrived: Moment, ip: usize) {
        self.waiting.store(1, Ordering::Relaxed);
        for record in &self.records {
            if record.poll_and_edges.load(Ordering::Relaxed) == 0 {
                record.arrived.store(arrived.word(), Ordering::Relaxed);
                record.ip.store(ip, Ordering::Relaxed);
                if record.replace(0, overlapped.word() | 1) {
                    return;
                }
            }
        }
        if let Some(last) = self.records.last() {
            let word = last.poll_and_edges.load(Ordering::Relaxed);
            if word & MOST_EDGES != MOST_EDGES {
                last.replace(word, word.wrapping_add(1));
            }
        }
    }

    /// Hands out, one by one, the records of which `polls` can tell by now.
    pub(crate) fn settle(&self, polls: &PollLock, mut tell: impl FnMut(Settled)) {
        self.waiting.store(0, Ordering::Relaxed);
        for record in &self.records {
            let word = record.poll_and_edges.load(Ordering::Relaxed);
            if word == 0 {
                continue;
            }
            let Some(explained) = polls.verdict_on(PollNumber::from_word(word)) else {
                self.waiting.store(1, Ordering::Relaxed);
                continue;
            };
            let settled = Settled {
                edges: word & MOST_EDGES,
                explained,
                arrived: Moment::from_word(record.arrived.load(Ordering::Relaxed)),
                ip: record.ip.load(Ordering::Relaxed),
            };
            if record.replace(word, 0) {
                tell(settled);
            }
        }
    }

    /// The CPU comes back from being offline.
    pub(crate) fn reset(&self) {
        for record in &self.records {
            record.poll_and_edges.store(0, Ordering::Relaxed);
        }
        self.waiting.store(0, Ordering::Relaxed);
    }
}

impl Record {
    fn replace(&self, from: usize, to: usize) -> bool {
        self.poll_and_edges.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn settle(edges: &DeferredEdges, polls: &PollLock) -> Vec<Settled> {
        let mut settled = Vec::new();
        edges.settle(polls, |one| settled.push(one));
        settled
    }

    #[test]
    fn an_edge_waits_for_a_later_poll_and_is_settled_once() {
        let (edges, polls) = (DeferredEdges::new(), PollLock::new());
        let first = polls.begin(0).unwrap();
        edges.defer(first, Moment::from_ticks(7), 0x1000);
        polls.end(first);
        assert!(settle(&edges, &polls).is_empty() && edges.any());
        let second = polls.begin(0).unwrap();
        polls.note_claim(second);
        polls.end(second);
        let arrived = Moment::from_ticks(7);
        let expected = Settled { edges: 1, explained: true, arrived, ip: 0x1000 };
        assert_eq!(settle(&edges, &polls), [expected]);
        assert!(settle(&edges, &polls).is_empty() && !edges.any());
    }

    #[test]
    fn edges_beyond_the_records_are_counted_with_the_last() {
        let (edges, polls) = (DeferredEdges::new(), PollLock::new());
        let first = polls.begin(0).unwrap();
        for ip in 0..RECORDS + 2 {
            edges.defer(first, Moment::from_ticks(0), ip);
        }
        polls.end(first);
        let second = polls.begin(0).unwrap();
        polls.end(second);
        let settled = settle(&edges, &polls);
        assert_eq!(settled.len(), RECORDS);
        assert!(settled.iter().all(|one| !one.explained));
        assert_eq!(settled.iter().map(|one| one.edges).sum::<usize>(), RECORDS + 2);
    }
}
