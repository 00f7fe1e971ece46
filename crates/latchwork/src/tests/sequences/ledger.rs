// SPDX-License-Identifier: MIT OR Apache-2.0
//! The model: what a CPU may say of the edges that it takes.
//!
//! * Each ring that a claim stands for goes into the ledger of each CPU that it may reach. Each
//!   edge that the library calls explained takes one out. So an edge is absorbed only while a ring
//!   is there that was claimed no longer ago than a ring may take.
//! * The library calls no more edges unknown than there were true unknowns.
//! * What it defers it settles within a bound.

use core::iter::repeat_n;
use std::{format, string::String, vec::Vec};

use crate::{CpuStats, Outcome};

/// The rings that may still come to one CPU, and what that CPU has said.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Until when each of them explains an edge, earliest first.
    rings: Vec<u64>,
    /// When the clock shows what it showed as each of them was claimed.
    claims: Vec<i64>,
    /// From when, and until when, each explains an edge again: the clock was set back, and nobody
    /// can tell the moment of its claim from the same moment later.
    again: Vec<(u64, u64)>,
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
    /// A claim stands for so many `rings`, which explain an edge until `lasts` after it.
    pub(super) fn add(&mut self, rings: usize, now: u64, lasts: u64) {
        self.rings.extend(repeat_n(now + lasts, rings));
        self.rings.sort_unstable();
        self.claims.extend(repeat_n(now as i64, rings));
    }

    /// Every clock was set back by so many ticks, or each ring lasts longer from here on.
    pub(super) fn set_back(&mut self, ticks: i64, now: u64, lasts: u64) {
        for claim in &mut self.claims {
            *claim = claim.wrapping_add(ticks);
            let until = claim.saturating_add_unsigned(lasts);
            if until > now as i64 {
                // A ring may be due two caps ahead.
                let from = claim.saturating_sub_unsigned(2 * lasts).max(0);
                self.again.push((from as u64, until as u64));
            }
        }
    }

    /// Some CPU was held up for long until `now`, since `began`, and may date no earlier what it has
    /// claimed since then: between the acknowledgement and its next look at the clock.
    pub(super) fn was_held_up(&mut self, began: u64, now: u64, lasts: u64) {
        let claims = self.claims.iter().filter(|claim| **claim >= began as i64).count();
        self.rings.extend(repeat_n(now + lasts, claims));
    }

    /// At the beginning of what a CPU does outside NMIs, or of an NMI on top of nothing.
    pub(super) fn begin(&mut self, now: u64) {
        let rings = &mut self.rings;
        self.again.retain(|(from, until)| {
            if *from <= now {
                rings.push(*until);
            }
            *from > now
        });
        rings.sort_unstable();
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
        let dropped = stats.edges_dropped - before.edges_dropped;
        let settled = (absorbed + unknown).saturating_sub(at_once + unknown_at_once) + dropped;
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
