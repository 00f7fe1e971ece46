// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deferred edges: nothing on their CPU explained them, and what may explain them is not known yet.
//!
//! # While another CPU asks the Platform handlers
//!
//! Whether that poll would have found the edge's condition is known only later: it may have looked
//! at the source before. So the CPU records when the edge came and which poll it overlapped, and
//! owes a poll. It settles the edge itself, at its tick or next NMI, once a later poll has
//! finished. The edge is explained if the poll that it overlapped or a later one claimed anything,
//! or if a grant is there for it; otherwise it is unknown. No other CPU settles it: that would look
//! at its own grants.
//!
//! A CPU can wait for only two polls at a time: the last that has begun, and, while that is in
//! progress, the one before. Edges that wait for the same poll share a record, so four records are
//! enough though some may be settled late.
//!
//! # On top of another dispatch
//!
//! NMIs nest where something re-opens them, and on top of a poll outside NMIs. The dispatch
//! underneath may have consumed the condition of the one on top and not have granted its ring yet.
//! So the dispatch on top leaves its edge to the outermost one, which settles it after it has
//! granted what it claimed.
//!
//! Or another CPU is just claiming the condition of the edge on top, and has not published that
//! yet. So the outermost dispatch polls if its grants do not suffice, and defers the edge if that
//! CPU still polls.
//!
//! Own CPU only, in NMI or with interrupts off. One word says that a record is in use; an NMI on
//! top that uses or settles it makes the exchange of that word fail.

use super::poll_lock::{PollLock, PollNumber};
use crate::{
    grant::Unsettled,
    primitive::{Ordering, OwnWord, array_of, const_unless_loom},
    registry::Nesting,
    time::Timestamp,
};

/// How many polls a CPU can wait for. The last record counts further edges as well, as far as it
/// has room, and is settled with them.
const RECORDS: usize = 4;

/// The count and the mark lie where a poll's number has no bits.
const MOST_EDGES: usize = 63;
/// The edges came on top of another dispatch of this CPU.
const ON_TOP: usize = 64;

/// How often a CPU tries to record an edge. Each failure is an NMI on this very CPU in between.
const TRIES: usize = 16;

/// One CPU's deferred edges.
#[derive(Debug)]
pub(crate) struct DeferredEdges {
    waiting: OwnWord,
    records: [Record; RECORDS],
}

#[derive(Debug)]
struct Record {
    /// 0, or the number of the poll, or the mark, and how many edges.
    poll_and_edges: OwnWord,
    arrived: OwnWord,
    ip: OwnWord,
}

/// A deferred edge, or several, when it is known what they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) edges: usize,
    pub(crate) finding: Finding,
    /// When the first of them arrived.
    pub(crate) arrived: Timestamp,
    /// Where the first of them interrupted.
    pub(crate) ip: usize,
}

/// What is known of a deferred edge that is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The poll that it overlapped, or a later one, claimed something.
    Claimed,
    /// Neither claimed anything.
    NothingClaimed,
    /// It came on top of another dispatch, which has granted by now what it claimed.
    WasOnTop,
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

    /// Whether an edge may wait here.
    #[inline(always)]
    pub(crate) fn has_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) != 0
    }

    /// Whether an edge waits, as the grants by which edges are settled need to know it.
    pub(crate) fn unsettled(&self) -> Unsettled {
        if self.has_waiting() { Unsettled::Edges } else { Unsettled::Nothing }
    }

    /// Records `edges` that came while another CPU asked the Platform handlers, in the poll
    /// `overlapped`. Returns whether there was room.
    #[must_use]
    pub(crate) fn defer(
        &self,
        overlapped: PollNumber,
        edges: usize,
        arrived: Timestamp,
        ip: usize,
    ) -> bool {
        self.record(overlapped.word(), edges, arrived, ip)
    }

    /// Leaves an edge that came on top of another dispatch to that one. Returns whether there was
    /// room.
    #[must_use]
    pub(crate) fn leave_to_outermost(&self, arrived: Timestamp, ip: usize) -> bool {
        self.record(ON_TOP, 1, arrived, ip)
    }

    fn record(&self, what: usize, edges: usize, arrived: Timestamp, ip: usize) -> bool {
        for _ in 0..TRIES {
            if self.try_record(what, edges.min(MOST_EDGES), arrived, ip) {
                // After: an NMI on top that settles says that nothing waits if it does not find the
                // record.
                self.waiting.store(1, Ordering::Relaxed);
                return true;
            }
        }
        false
    }

    /// Counts the edges with those that wait for the same, or begins a record.
    fn try_record(&self, what: usize, edges: usize, arrived: Timestamp, ip: usize) -> bool {
        let of_the_same = |word: usize| word & MOST_EDGES != 0 && word & !MOST_EDGES == what;
        if let Some((record, word)) = self.find(of_the_same) {
            return record.count_more(word, edges);
        }
        if let Some((record, free)) = self.find(|word| word == 0) {
            record.arrived.store(arrived.word(), Ordering::Relaxed);
            record.ip.store(ip, Ordering::Relaxed);
            return record.replace(free, what | edges);
        }
        self.records.last().is_none_or(|last| last.count_more(last.word(), edges))
    }

    fn find(&self, is_it: impl Fn(usize) -> bool) -> Option<(&Record, usize)> {
        self.records.iter().map(|record| (record, record.word())).find(|(_, word)| is_it(*word))
    }

    /// Hands out, one by one, the records of which it is known by now what they were. For edges
    /// that came on top it is known in the outermost dispatch: nothing is underneath that could
    /// still grant what it has claimed.
    pub(crate) fn settle(&self, polls: &PollLock, nesting: Nesting, mut tell: impl FnMut(Settled)) {
        self.waiting.store(0, Ordering::Relaxed);
        for record in &self.records {
            let word = record.word();
            if word == 0 {
                continue;
            }
            let Some(finding) = finding(word, polls, nesting) else {
                self.waiting.store(1, Ordering::Relaxed);
                continue;
            };
            let settled = Settled {
                edges: word & MOST_EDGES,
                finding,
                arrived: Timestamp::from_word(record.arrived.load(Ordering::Relaxed)),
                ip: record.ip.load(Ordering::Relaxed),
            };
            if record.replace(word, 0) {
                tell(settled);
            }
        }
    }

    /// Forgets all records: the CPU comes back from being offline.
    pub(crate) fn reset(&self) {
        for record in &self.records {
            record.poll_and_edges.store(0, Ordering::Relaxed);
        }
        self.waiting.store(0, Ordering::Relaxed);
    }
}

/// What is known by now of the edges of a record.
fn finding(word: usize, polls: &PollLock, nesting: Nesting) -> Option<Finding> {
    if word & ON_TOP != 0 {
        return (nesting == Nesting::Outermost).then_some(Finding::WasOnTop);
    }
    let has_claimed = polls.verdict_on(PollNumber::from_word(word))?;
    Some(if has_claimed { Finding::Claimed } else { Finding::NothingClaimed })
}

impl Record {
    fn word(&self) -> usize {
        self.poll_and_edges.load(Ordering::Relaxed)
    }

    /// Beyond the most there is no room: so many edges without a condition are a storm, which need
    /// not wait to be called unknown.
    fn count_more(&self, word: usize, edges: usize) -> bool {
        let before = word & MOST_EDGES;
        let after = before.saturating_add(edges);
        before != 0 && after <= MOST_EDGES && self.replace(word, word & !MOST_EDGES | after)
    }

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
        edges.settle(polls, Nesting::Outermost, |one| settled.push(one));
        settled
    }

    #[test]
    fn an_edge_waits_for_a_later_poll_and_is_settled_once() {
        let (edges, polls) = (DeferredEdges::new(), PollLock::new());
        let first = polls.take(0).unwrap();
        assert!(edges.defer(first, 1, Timestamp::from_ticks(7), 0x1000));
        polls.end(first);
        assert!(settle(&edges, &polls).is_empty() && edges.has_waiting());
        let second = polls.take(0).unwrap();
        polls.note_claim(second);
        polls.end(second);
        let arrived = Timestamp::from_ticks(7);
        let expected = Settled { edges: 1, finding: Finding::Claimed, arrived, ip: 0x1000 };
        assert_eq!(settle(&edges, &polls), [expected]);
        assert!(settle(&edges, &polls).is_empty() && !edges.has_waiting());
    }

    fn poll(polls: &PollLock) -> PollNumber {
        let number = polls.take(0).unwrap();
        polls.end(number);
        number
    }

    #[test]
    fn edges_that_wait_for_the_same_poll_are_settled_together() {
        let (edges, polls) = (DeferredEdges::new(), PollLock::new());
        let first = polls.take(0).unwrap();
        for ip in 0..RECORDS + 2 {
            assert!(edges.defer(first, 1, Timestamp::from_ticks(0), ip));
        }
        polls.end(first);
        let second = polls.take(0).unwrap();
        assert!(edges.defer(second, 1, Timestamp::from_ticks(9), 0x9000));
        polls.note_claim(second);
        polls.end(second);
        let told = |it: &Settled| (it.edges, it.finding, it.ip);
        assert_eq!(
            settle(&edges, &polls).iter().map(told).collect::<Vec<_>>(),
            [(6, Finding::Claimed, 0)]
        );
        poll(&polls);
        assert_eq!(
            settle(&edges, &polls).iter().map(told).collect::<Vec<_>>(),
            [(1, Finding::Claimed, 0x9000)]
        );
    }

    #[test]
    fn edges_beyond_the_records_are_counted_with_the_last() {
        let (edges, polls) = (DeferredEdges::new(), PollLock::new());
        for ip in 0..RECORDS + 2 {
            assert!(edges.defer(poll(&polls), 1, Timestamp::from_ticks(0), ip));
        }
        poll(&polls);
        let settled = settle(&edges, &polls);
        assert_eq!(settled.len(), RECORDS);
        assert_eq!(settled.iter().map(|one| one.edges).sum::<usize>(), RECORDS + 2);
    }

    #[test]
    fn what_there_is_no_room_for_is_said() {
        let (edges, polls) = (DeferredEdges::new(), PollLock::new());
        let overlapped = poll(&polls);
        assert!((0..MOST_EDGES).all(|_| edges.defer(overlapped, 1, Timestamp::from_ticks(0), 0)));
        assert!(!edges.defer(overlapped, 1, Timestamp::from_ticks(0), 0));
        poll(&polls);
        assert_eq!(settle(&edges, &polls)[0].edges, MOST_EDGES);
        assert!(edges.defer(overlapped, 1, Timestamp::from_ticks(0), 0));
    }

    #[test]
    fn an_edge_on_top_of_another_dispatch_waits_for_that_one_only() {
        let (edges, polls) = (DeferredEdges::new(), PollLock::new());
        assert!(edges.leave_to_outermost(Timestamp::from_ticks(7), 0x1000));
        let mut settled = 0;
        edges.settle(&polls, Nesting::OnTop, |_| settled += 1);
        assert!(settled == 0 && edges.has_waiting());
        let told = settle(&edges, &polls);
        assert_eq!(
            (told.len(), told[0].finding, edges.has_waiting()),
            (1, Finding::WasOnTop, false)
        );
    }
}
