// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CPU's pool of grants: when it is live, and what changes that.
//!
//! Rule: a CPU absorbs an edge if the edge's credit is there and the deadline of all has not ended.

use super::{
    credits::Credits,
    deadline::Deadline,
    hold::Hold,
    last_claim::LastClaim,
    live_time::LiveTime,
    open_points::{OpenPoints, Unsettled},
    rationing::{Absorption, Rationing},
    routes::Routes,
    seen_claims::SeenClaims,
};
use crate::{
    contract::{GrantKind, Granted},
    primitive::const_unless_loom,
    time::{InTicks, Timestamp},
};

/// One CPU's pool of grants.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct Grants {
    credits: Credits,
    pub(super) deadline: Deadline,
    pub(super) open_points: OpenPoints,
    pub(super) last_claim: LastClaim,
    pub(super) hold: Hold,
    pub(super) seen: SeenClaims,
    pub(crate) routes: Routes,
    rationing: Rationing,
    pub(crate) live_time: LiveTime,
}

impl Grants {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                credits: Credits::new(),
                deadline: Deadline::new(),
                open_points: OpenPoints::new(),
                last_claim: LastClaim::new(),
                hold: Hold::new(),
                seen: SeenClaims::new(),
                routes: Routes::new(),
                rationing: Rationing::new(),
                live_time: LiveTime::new(),
            }
        }
    }

    /// Whether no grant is left that has neither been used up nor found dead.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.credits.counts().is_empty()
    }

    /// Whether an edge that comes now may be absorbed.
    pub(crate) fn is_live(&self, now: Timestamp, limits: InTicks<'_>) -> bool {
        !self.is_empty() && self.open_points.let_live(self.deadline.get(), now, limits)
    }

    /// Grants `edges`, and moves the deadline of all to `deadline` at least.
    ///
    /// An NMI on top may grant, use up, or find dead. If it comes before the exchange in
    /// `drop_all`, that drops nothing; if it comes after, what it grants stays. A deadline that it
    /// moved is never moved back: an earlier deadline replaces only the one that was found dead.
    /// That one was read before and after the counts, so that no new count is found dead by an old
    /// deadline, or an old count by a new one.
    pub(crate) fn grant(
        &self,
        kind: GrantKind,
        edges: usize,
        deadline: Timestamp,
        now: Timestamp,
        limits: InTicks<'_>,
    ) {
        self.update_live_time(now, limits);
        let before = self.deadline.get();
        let counts = self.credits.counts();
        let is_steady = self.deadline.get() == before;
        let was_live =
            !is_steady || !counts.is_empty() && self.open_points.let_live(before, now, limits);
        if !was_live && !counts.is_empty() {
            self.credits.drop_all(counts);
        }
        if !self.open_points.let_live(deadline, now, limits) {
            // The clock was reset since.
            self.open_points.note(now);
        }
        if was_live || !self.deadline.replace(before, deadline) {
            self.deadline.extend_to(deadline);
        }
        self.credits.add(kind, edges);
        if let Some(due) = self.last_claim.ring_is_due_since(now, limits) {
            self.deadline.extend_to(due);
        }
        self.live_time.begins(now);
    }

    /// Makes what is granted already last until `deadline` at least: something was claimed.
    pub(crate) fn extend(&self, deadline: Timestamp, now: Timestamp, limits: InTicks<'_>) {
        if self.is_live(now, limits) {
            self.deadline.extend_to(deadline);
        }
    }

    /// Notes that something was claimed. The caller has granted what that grants, and adopted what
    /// other CPUs had claimed before: a claim that is seen later may be older than this one.
    #[inline(always)]
    pub(crate) fn note_claim<'a>(&self, now: Timestamp, limits: impl FnOnce() -> InTicks<'a>) {
        self.last_claim.note(now, limits);
    }

    /// Absorbs an edge, if a grant of one of `kinds` is live.
    pub(crate) fn absorb(
        &self,
        kinds: &[GrantKind],
        now: Timestamp,
        limits: InTicks<'_>,
    ) -> Option<Absorption> {
        if !self.is_live(now, limits) {
            return None;
        }
        let kind = self.credits.use_one_of(kinds)?;
        let live_ticks = self.live_time.ticks_so_far(now);
        self.update_live_time(now, limits);
        Some(self.rationing.record(kind, live_ticks, now, limits))
    }

    /// Notes that the CPU leaves an NMI that was on top of no other: the edge of one underneath,
    /// too, may need what was granted. While `unsettled` edges wait for what is granted, no grant
    /// ends.
    #[inline(always)]
    pub(crate) fn note_leave<'a>(
        &self,
        left: Timestamp,
        unsettled: Unsettled,
        limits: impl FnOnce() -> InTicks<'a>,
    ) {
        self.open_points.note_leave(left, || self.may_open(unsettled), limits);
    }

    /// Notes that the CPU is at its tick or about to idle: it has taken any edge that came before
    /// `now`. The caller read `now` before.
    pub(crate) fn note_open_point(
        &self,
        now: Timestamp,
        unsettled: Unsettled,
        limits: InTicks<'_>,
    ) {
        if self.may_open(unsettled) {
            self.open_points.note(now);
        }
        self.update_live_time(now, limits);
    }

    #[inline(always)]
    fn may_open(&self, unsettled: Unsettled) -> bool {
        unsettled == Unsettled::Nothing && !self.hold.holds()
    }

    fn update_live_time(&self, now: Timestamp, limits: InTicks<'_>) {
        if !self.is_live(now, limits) {
            self.live_time.ends(now);
        }
    }

    /// What is granted, for a debugger or a report. Any CPU may ask.
    pub(crate) fn snapshot(&self, now: Timestamp, limits: InTicks<'_>) -> Granted {
        if !self.is_live(now, limits) {
            return Granted { waits_for_send: self.hold.holds(), ..Granted::default() };
        }
        Granted {
            edges: self.credits.counts().by_kind(),
            left_ticks: self.deadline.get().since(now),
            waits_for_send: self.hold.holds(),
        }
    }

    /// Forgets all grants: the CPU comes back from being offline, and what was granted before
    /// counts no more.
    pub(crate) fn reset(&self, now: Timestamp) {
        self.credits.reset();
        self.hold.reset();
        self.live_time.ends(now);
        self.open_points.reset(now);
        self.last_claim.reset();
    }
}
