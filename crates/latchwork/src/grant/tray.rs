// SPDX-License-Identifier: MIT OR Apache-2.0
//! What NMIs on top of others leave to the outermost code of their CPU.
//!
//! Rule: only the outermost code touches the ledger, so an NMI on top of it leaves here what it
//! claimed and that its edge came. The outermost code takes it into its own balance.
//!
//! Own CPU only. NMIs on top add, each from its beginning to its end before what is underneath goes
//! on: so they reserve a record before they fill it. The outermost code takes what it has read, and
//! reads it again where an NMI came in between.

use super::rings::Rings;
use crate::{
    contract::HANDLERS_PER_CLASS,
    edge::{Batch, Edge, EdgeRecord, Edges, RECORDS},
    primitive::{Ordering, OwnWord, array_of, const_unless_loom},
    time::{OwnTime, Timestamp},
};

/// For more edges there is no room: so many without a condition are a storm, which need not wait to
/// be called unknown.
const MOST_EDGES: usize = 64;

/// How often the outermost code tries to take what is here. Each failure is an NMI between two of
/// its accesses. After as many, it stays for the next look.
const TRIES: usize = 4;

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
    /// The outermost code on top of which edges have come, and since when.
    under: OwnWord,
    waiting_since: OwnTime,
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

impl Tray {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                left: OwnWord::new(0),
                edges: OwnWord::new(0),
                records: array_of![EdgeRecord::new(); RECORDS],
                has_first: OwnWord::new(0),
                under: OwnWord::new(0),
                waiting_since: OwnTime::new(),
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

    /// Whether edges have waited for longer than `most` by `now`, on top of the same outermost
    /// code, which `generation` names. Edges that former code has not settled wait from now on.
    pub(crate) fn has_waited(&self, generation: usize, most: u64, now: Timestamp) -> bool {
        let is_same = self.under.swap(generation, Ordering::Relaxed) == generation;
        if !is_same || self.has_first.load(Ordering::Relaxed) == 0 {
            self.waiting_since.set(now);
            return false;
        }
        now.since(self.waiting_since.get()) > most
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

    fn add_late_edges(&self, edges: usize, late_us: u32) {
        if edges != 0 {
            self.raise_late_us(late_us as usize);
            self.late_edges.fetch_add(edges, Ordering::Relaxed);
        }
    }

    /// Each failure is an NMI on top that named more, so there are no more failures than handlers.
    fn raise_late_us(&self, late_us: usize) {
        for _ in 0..HANDLERS_PER_CLASS {
            let before = self.late_us.load(Ordering::Relaxed);
            let after = before.max(late_us);
            let raised =
                self.late_us.compare_exchange(before, after, Ordering::Relaxed, Ordering::Relaxed);
            if raised.is_ok() {
                break;
            }
        }
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

    /// Takes what NMIs on top claimed. The outermost code. It takes an edge together with its
    /// rings: each NMI counts its edge last, so where that count stays, what it read in between
    /// belongs together. How late the rings come, and when they were claimed, an NMI makes later
    /// meanwhile.
    pub(crate) fn take_claims(&self) -> ClaimsOnTop {
        let take =
            |word: &OwnWord, what: usize| word.fetch_add(what.wrapping_neg(), Ordering::Relaxed);
        let mut late_us = 0;
        for _ in 0..TRIES {
            let edges = self.claimed_edges.load(Ordering::Relaxed);
            let late_edges = self.late_edges.load(Ordering::Relaxed);
            if edges == 0 && late_edges == 0 {
                break;
            }
            late_us = self.late_us.swap(0, Ordering::Relaxed).max(late_us);
            let doorbells = self.doorbells.load(Ordering::Relaxed);
            let sends = self.sends.load(Ordering::Relaxed);
            if self.claimed_edges.load(Ordering::Relaxed) != edges {
                continue;
            }
            take(&self.claimed_edges, edges);
            take(&self.late_edges, late_edges);
            take(&self.doorbells, doorbells);
            take(&self.sends, sends);
            let late_us = self.late_us.load(Ordering::Relaxed).max(late_us) as u32;
            let claimed = self.claimed.load(Ordering::Relaxed);
            let rings = Rings::left_on_top(doorbells, sends, late_edges, late_us);
            return ClaimsOnTop { edges, rings, claimed };
        }
        if late_us != 0 {
            self.raise_late_us(late_us);
        }
        ClaimsOnTop { edges: 0, rings: Rings::default(), claimed: 0 }
    }

    /// Forgets all; returns how many edges that were which nothing has explained.
    pub(crate) fn reset(&self) -> usize {
        let edges = self.take_edges(Timestamp::from_ticks(0));
        self.take_claims();
        edges.iter().fold(0, |sum, it| sum.saturating_add(it.count))
    }

    /// Takes the edges, which it sees `now`. The outermost code, which then takes the claims as
    /// well.
    pub(crate) fn take_edges(&self, now: Timestamp) -> Batch {
        self.left.store(0, Ordering::Relaxed);
        let mut taken = [Edges::NONE; RECORDS];
        let mut edges = self.edges.load(Ordering::Relaxed);
        if edges == 0 {
            return taken;
        }
        self.has_first.store(0, Ordering::Relaxed);
        for _ in 0..TRIES {
            // A record stays as it is until it is taken, so each is read once.
            let records = taken.iter_mut().zip(&self.records).take(edges);
            for (copy, record) in records.filter(|(copy, _)| copy.is_none()) {
                *copy = Edges::one(record.seen_at(now));
            }
            match self.edges.compare_exchange(edges, 0, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    if let Some(last) = taken.last_mut() {
                        last.count = edges.saturating_sub(RECORDS - 1);
                    }
                    return taken;
                }
                Err(more) => edges = more,
            }
        }
        self.has_first.store(1, Ordering::Relaxed);
        [Edges::NONE; RECORDS]
    }
}

impl ClaimsOnTop {
    /// When the last of them was claimed, for a CPU at `now`.
    pub(crate) fn claimed(&self, now: Timestamp) -> Timestamp {
        now.nearest_of(self.claimed).earlier_of(now)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use core::cell::Cell;
    use std::{boxed::Box, rc::Rc};

    use super::*;
    use crate::primitive::{AtomicUsize, checked::interrupt};

    static CLOCK: AtomicUsize = AtomicUsize::new(1_000);

    fn now() -> Timestamp {
        Timestamp::from_ticks(CLOCK.fetch_add(1, Ordering::Relaxed) as u64)
    }

    fn new_tray() -> &'static Tray {
        Box::leak(Box::new(Tray::new()))
    }

    /// An NMI on top claims what rings once more, so late.
    fn claim(tray: &Tray, late_us: u32) {
        tray.leave_claims(&Rings::left_on_top(1, 0, 1, late_us), now);
    }

    #[test]
    fn of_two_nmis_on_top_the_later_claim_and_the_later_ring_count() {
        for (one, other) in [(300, 900), (900, 300)] {
            for accesses in 0.. {
                let tray = new_tray();
                let came = Rc::new(Cell::new(now()));
                let comes = came.clone();
                interrupt::arm(accesses, move || {
                    comes.set(now());
                    claim(tray, other);
                });
                claim(tray, one);
                if !interrupt::disarm() {
                    assert!(accesses > 8, "{accesses} accesses");
                    break;
                }
                let claims = tray.take_claims();
                assert_eq!((claims.edges, claims.rings.late_edges()), (2, 2));
                assert_eq!(claims.rings.late_us(), 900, "after {accesses}");
                assert!(came.get().is_before(claims.claimed(now())), "after {accesses}");
            }
        }
    }

    /// NMIs on top of one look, so many accesses apart.
    fn claim_again_and_again(tray: &'static Tray, accesses: usize, times: usize) {
        if times != 0 {
            interrupt::arm(accesses, move || {
                claim(tray, 300);
                claim_again_and_again(tray, accesses, times - 1);
            });
        }
    }

    #[test]
    fn a_look_that_fails_keeps_how_late_the_rings_come() {
        let mut failed = 0;
        for accesses in 0..12 {
            let tray = new_tray();
            claim(tray, 900);
            claim_again_and_again(tray, accesses, TRIES);
            let looked = tray.take_claims();
            interrupt::disarm();
            if looked.edges == 0 {
                failed += 1;
                let claims = tray.take_claims();
                assert_eq!((claims.edges, claims.rings.late_us()), (1 + TRIES, 900));
            }
        }
        assert!(failed > 0);
    }
}
