// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts of what has happened in a sequence.

use core::sync::atomic::{AtomicUsize, Ordering};

/// The result of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are counted as their names say")]
pub struct Played {
    pub steps: usize,
    pub dispatches: usize,
    /// Conditions that were set and had not been.
    pub sets: usize,
    pub claims: usize,
    /// Rings that the sequence made: with a request, with a condition, or with nothing.
    pub rings: usize,
    /// Those of them that were sent by the library.
    pub sends: usize,
    pub absorbed: usize,
    pub deferred: usize,
    pub unknown: usize,
    /// Conditions that are still set.
    pub left: usize,
    /// Lines that the log has lost.
    pub torn: usize,
}

/// The same counts during a sequence. The CPU that has its turn uses them.
#[derive(Debug)]
pub(crate) struct Tallies {
    pub(crate) steps: AtomicUsize,
    pub(crate) dispatches: AtomicUsize,
    pub(crate) sets: AtomicUsize,
    pub(crate) claims: AtomicUsize,
    pub(crate) rings: AtomicUsize,
    pub(crate) sends: AtomicUsize,
    pub(crate) absorbed: AtomicUsize,
    pub(crate) deferred: AtomicUsize,
    pub(crate) unknown: AtomicUsize,
}

/// Adds to a tally or a depth. NMI-safe.
pub(crate) fn add(to: &AtomicUsize, amount: usize) {
    to.fetch_add(amount, Ordering::Relaxed);
}

/// Takes away what was added. NMI-safe.
pub(crate) fn subtract(from: &AtomicUsize, amount: usize) {
    from.fetch_sub(amount, Ordering::Relaxed);
}

impl Tallies {
    pub(crate) const fn new() -> Self {
        Self {
            steps: AtomicUsize::new(0),
            dispatches: AtomicUsize::new(0),
            sets: AtomicUsize::new(0),
            claims: AtomicUsize::new(0),
            rings: AtomicUsize::new(0),
            sends: AtomicUsize::new(0),
            absorbed: AtomicUsize::new(0),
            deferred: AtomicUsize::new(0),
            unknown: AtomicUsize::new(0),
        }
    }

    /// Sets all counts to 0. Called while no sequence is played.
    pub(crate) fn reset(&self) {
        for tally in [
            &self.steps,
            &self.dispatches,
            &self.sets,
            &self.claims,
            &self.rings,
            &self.sends,
            &self.absorbed,
            &self.deferred,
            &self.unknown,
        ] {
            tally.store(0, Ordering::Relaxed);
        }
    }

    /// The result of the sequence: the counts, and what the arguments give. Called while no
    /// sequence is played.
    pub(crate) fn read(&self, left: usize, torn: usize) -> Played {
        Played {
            steps: self.steps.load(Ordering::Relaxed),
            dispatches: self.dispatches.load(Ordering::Relaxed),
            sets: self.sets.load(Ordering::Relaxed),
            claims: self.claims.load(Ordering::Relaxed),
            rings: self.rings.load(Ordering::Relaxed),
            sends: self.sends.load(Ordering::Relaxed),
            absorbed: self.absorbed.load(Ordering::Relaxed),
            deferred: self.deferred.load(Ordering::Relaxed),
            unknown: self.unknown.load(Ordering::Relaxed),
            left,
            torn,
        }
    }
}
