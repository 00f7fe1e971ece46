// SPDX-License-Identifier: MIT OR Apache-2.0
//! The model: what a CPU may say of the edges that it takes.
//!
//! * Each ring that a claim stands for goes into the ledger of each CPU that it may reach. Each
//!   edge that the library calls explained takes one out. So an edge is absorbed only while a ring
//!   is there that was claimed no longer ago than a ring may take.
//! * The library calls no more edges unknown than there were true unknowns.
//! * What it defers it settles within a bound.

use std::{format, string::String, vec::Vec};

use crate::{CpuStats, Outcome};

/// The rings that may still come to one CPU, and what that CPU has said.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Until when each of them explains an edge, earliest first.
    rings: Vec<u64>,
    /// Edges that nothing explains.
    pub(super) true_unknowns: usize,
    /// When each edge came that waits to be settled.
    waiting: Vec<u64>,
    /// So many of them count as true unknowns already, the oldest.
    excused: usize,
    outcomes: [usize; 2],
    before: CpuStats,
}

impl Ledger {
    pub(super) fn add(&mut self, rings: usize, until: u64) {
        self.rings.extend(core::iter::repeat_n(until, rings));
        self.rings.sort_unstable();
    }

    /// At the beginning of what a CPU does outside NMIs, or of an NMI on top of nothing.
    pub(super) fn begin(&mut self, now: u64) {
        if self.waiting.is_empty() {
            self.rings.retain(|until| *until >= now);
        }
    }

    /// The CPU leaves an NMI that `began` then: meanwhile it could take no ring, so each lasts for
    /// as long again, and for no longer than one that was claimed just now.
    pub(super) fn left(&mut self, began: u64, now: u64, lasts: u64) {
        for until in &mut self.rings {
            *until = (*until).max((*until + (now - began)).min(now + lasts));
        }
    }

    /// The CPU took an edge at `now`.
    pub(super) fn took(&mut self, outcome: Outcome, now: u64) {
        match outcome {
            Outcome::Absorbed => self.outcomes[0] += 1,
            Outcome::Unknown => self.outcomes[1] += 1,
            Outcome::Deferred => self.waiting.push(now),
            _ => {}
        }
    }

    /// At the end of what began, by what the CPU has counted since.
    ///
    /// # Errors
    ///
    /// What it ought not to have said.
    pub(super) fn end(&mut self, stats: CpuStats) -> Result<(), String> {
        let before = core::mem::replace(&mut self.before, stats);
        let absorbed = stats.absorbed - before.absorbed;
        let unknown = stats.unknown - before.unknown;
        let claimed = stats.claimed - before.claimed;
        let [at_once, unknown_at_once] = core::mem::take(&mut self.outcomes);
        let settled = (absorbed + unknown).saturating_sub(at_once + unknown_at_once);
        self.waiting.drain(..settled.min(self.waiting.len()));
        self.excused = self.excused.saturating_sub(settled);
        let there = self.rings.len();
        self.rings.drain(..(absorbed + claimed).min(there));
        if stats.unknown > self.true_unknowns {
            let Self { true_unknowns, .. } = self;
            return Err(format!("{} unknowns are said of {true_unknowns}", stats.unknown));
        }
        if absorbed > there {
            return Err(format!("{absorbed} edges are absorbed by {there} rings"));
        }
        Ok(())
    }

    /// When the edge came that has waited longest.
    pub(super) fn waits_since(&self) -> Option<u64> {
        self.waiting.first().copied()
    }

    /// What it had deferred counts no more: it has come online.
    pub(super) fn settle_all(&mut self) {
        self.waiting.clear();
        self.excused = 0;
    }

    /// Nothing has to explain what waits.
    pub(super) fn excuse_waiting(&mut self) {
        let waiting = self.waiting.len();
        self.true_unknowns += waiting.saturating_sub(self.excused);
        self.excused = waiting;
    }

    /// How many edges wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}
