// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CPU's ledger: the rings that may still come to it, each until its own deadline.
//!
//! Rule: a claim adds the rings that it stands for, each edge takes the one that is due earliest,
//! and an open point drops those that were due before it. See the [parent](super) for why this
//! calls no ring unknown.

use super::{
    entry::{Due, Entry, Grant},
    live_time::LiveTime,
    rationing::{Absorption, Rationing},
    routes::Routes,
    seen::SeenClaims,
};
use crate::{
    contract::{GrantKind, Granted},
    primitive::{Ordering, OwnWord, array_of, const_unless_loom},
    send_wait::SendWait,
    time::{InTicks, OwnTime, Timestamp},
};

/// More than there are [dues](Due) that are not alike: so two grants can always be made one.
const ENTRIES: usize = 6;

/// One CPU's ledger.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct Ledger {
    /// How many entries hold a grant; `taken` counts as one while its due is not known.
    in_use: OwnWord,
    /// When this CPU last left an NMI, while it had grants.
    last_leave: OwnTime,
    /// When this CPU last claimed something.
    last_claim: OwnTime,
    /// By when the ring of this CPU's last claim outside an NMI is due.
    outside_due: OwnTime,
    entries: [Entry; ENTRIES],
    /// Of the rings that edges took, the one that is due latest.
    taken: Entry,
    pub(super) seen: SeenClaims,
    pub(crate) routes: Routes,
    rationing: Rationing,
    pub(crate) live_time: LiveTime,
}

impl Ledger {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                in_use: OwnWord::new(0),
                last_leave: OwnTime::new(),
                last_claim: OwnTime::new(),
                outside_due: OwnTime::new(),
                entries: array_of![Entry::free(); ENTRIES],
                taken: Entry::free(),
                seen: SeenClaims::new(),
                routes: Routes::new(),
                rationing: Rationing::new(),
                live_time: LiveTime::new(),
            }
        }
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.in_use() == 0
    }

    /// Adds rings that may still come. Beyond [`MOST_RINGS`](super::entry::MOST_RINGS) of a kind
    /// there are no more: so many at once are a storm.
    pub(crate) fn add(&self, grant: Grant, now: Timestamp, limits: InTicks<'_>) {
        if grant.rings == 0 {
            return;
        }
        if self.is_empty() {
            self.last_leave.set(now);
        } else {
            self.drop_where(now, |it| is_far_ahead(it.due, now, limits));
        }
        if grant.due.explains() {
            self.live_time.begins(now);
        }
        let is_same = |it: &Grant| it.kind == grant.kind && it.due == grant.due;
        let place = self.find(is_same).or_else(|| self.free_entry());
        let place = place.or_else(|| self.find(|it| it.due.is_like(grant.due)));
        if let Some((entry, before)) = place.or_else(|| self.join_two()) {
            if before.is_none() {
                self.set_in_use(self.in_use().wrapping_add(1));
            }
            entry.set(before.map_or(grant, |it| joined(it, grant)));
        }
    }

    /// Takes one ring away: this CPU took an edge. It is the ring that is due earliest; its kind is
    /// returned, or `None` if there is no ring that the edge, which `arrived` and was `seen` then,
    /// may have been.
    ///
    /// An edge that waited cannot have been the ring of a claim made long after it was seen, nor one
    /// that came while the `oldest` waits that of a claim made long before. Such a ring is left.
    pub(crate) fn take(
        &self,
        arrived: Timestamp,
        seen: Timestamp,
        oldest: Timestamp,
        now: Timestamp,
        limits: InTicks<'_>,
    ) -> Option<GrantKind> {
        self.drop_where(now, |grant| {
            self.is_beyond_cap(grant.due, oldest, limits) || is_far_ahead(grant.due, now, limits)
        });
        let may_be = |due: Due| {
            due.explains()
                && !is_far_ahead(due, seen, limits)
                && !self.is_beyond_cap(due, arrived, limits)
        };
        let mut earliest: Option<(&Entry, Grant)> = None;
        for (entry, grant) in self.grants().filter(|(_, grant)| may_be(grant.due)) {
            if earliest.is_none_or(|(_, so_far)| grant.due.is_before(so_far.due)) {
                earliest = Some((entry, grant));
            }
        }
        let (entry, grant) = earliest?;
        self.take_from(entry, grant, now);
        self.note_taken(grant.due, now, limits);
        Some(grant.kind)
    }

    /// Takes the excuse of one send that was written off, if there is any. Its edge may have been
    /// that send's.
    pub(crate) fn take_late_send(&self, as_of: Timestamp) -> bool {
        let Some((entry, grant)) = self.grants().find(|(_, grant)| !grant.due.explains()) else {
            return false;
        };
        self.take_from(entry, grant, as_of);
        true
    }

    /// Notes an edge that a ring of `kind` explains. Says whether it is to be reported.
    pub(crate) fn note_absorbed(
        &self,
        kind: GrantKind,
        absorbable_ticks: u64,
        now: Timestamp,
        limits: InTicks<'_>,
    ) -> Absorption {
        self.rationing.record(kind, absorbable_ticks, now, limits)
    }

    /// Notes that this CPU claimed something at `now`.
    #[inline(always)]
    pub(crate) fn note_claim(&self, now: Timestamp) {
        self.last_claim.set(now);
    }

    /// Until when a ring may come that this CPU adds only now, and that is due by `deadline`.
    ///
    /// An edge that this CPU took before may have been this ring. Then what that edge took instead
    /// is still to come: the ring of the CPU's own last claim, or one that it took from the ledger.
    pub(super) fn due_if_late(
        &self,
        deadline: Timestamp,
        now: Timestamp,
        limits: InTicks<'_>,
    ) -> Due {
        let claim = self.last_claim.get();
        let is_recent = now.since(claim) <= limits.cap() && claim.since(now) <= limits.cap();
        let own = if is_recent { claim.after(limits.late()) } else { deadline };
        let due = Due::By(own.later_of(deadline));
        let taken = self.taken.get().filter(|it| !is_far_ahead(it.due, now, limits));
        taken.map_or(due, |taken| due.later_of(taken.due))
    }

    /// Drops the rings that were due before `open_point`, a moment at which this CPU would have
    /// taken any edge that had come.
    pub(crate) fn note_open_point(&self, open_point: Timestamp, now: Timestamp) {
        self.drop_where(now, |grant| match grant.due {
            Due::By(deadline) | Due::LateSendBy(deadline) => deadline.is_before(open_point),
            _ => false,
        });
    }

    /// Notes that this CPU leaves an NMI. The end of the one before is an open point, if
    /// `may_open`: whatever had come by then this CPU has taken since, as the NMI that it leaves or
    /// as one in between. When the NMI that it leaves was delivered, nobody knows.
    pub(crate) fn note_leave(&self, left: Timestamp, may_open: bool) {
        let before = self.last_leave.get();
        // A moment that is still to come is of a clock that was reset.
        if may_open && !left.is_before(before) {
            self.note_open_point(before, left);
        }
        self.last_leave.set(left);
    }

    /// Notes that this CPU was parked in an NMI until now, while it could take no other, nor go on
    /// with a send of its own that the NMI interrupted: such a send is written off no sooner.
    pub(crate) fn note_end_of_parking(&self, now: Timestamp) {
        self.last_leave.set(now);
        for entry in self.entries.iter().chain([&self.taken]) {
            if let Some(Grant { due: Due::After { wait, taken: Some(_) }, kind, rings }) =
                entry.get()
            {
                entry.set(Grant { kind, rings, due: Due::After { wait, taken: Some(now) } });
            }
        }
    }

    /// Looks at what rings without a deadline wait for, and which of it `has_finished` says has
    /// finished. Claims outside an NMI are due by `claims_due` then. Reads the clock after the
    /// look.
    pub(crate) fn look_again(
        &self,
        has_finished: impl Fn(SendWait) -> bool,
        claims_due: impl Fn(Timestamp) -> Timestamp,
        clock: impl Fn() -> Timestamp,
        limits: InTicks<'_>,
    ) {
        let look = |due: Due| match due {
            Due::After { wait, taken } if has_finished(wait) => {
                let now = clock();
                let rung = now.after(limits.late());
                Some(Due::By(if taken.is_none() { rung.later_of(claims_due(now)) } else { rung }))
            }
            Due::After { wait, taken: Some(taken) } if clock().since(taken) >= limits.hold() => {
                Some(Due::LateSend(wait))
            }
            Due::LateSend(wait) if has_finished(wait) => {
                Some(Due::LateSendBy(clock().after(limits.late())))
            }
            _ => None,
        };
        for (entry, grant) in self.grants() {
            if let Some(due) = look(grant.due) {
                entry.set(Grant { due, ..grant });
            }
        }
        if let Some((grant, due)) = self.taken.get().and_then(|it| Some((it, look(it.due)?))) {
            self.taken.clear();
            self.set_in_use(self.in_use().saturating_sub(1));
            match due.explains() {
                true => self.note_taken(due, clock(), limits),
                false => self.add(Grant { due, ..grant }, clock(), limits),
            }
        }
        self.update_live_time(clock());
    }

    /// Notes that a claim of this CPU outside an NMI is over, and its ring due by `deadline`.
    pub(crate) fn note_claim_outside(&self, deadline: Timestamp) {
        self.outside_due.set(deadline);
    }

    /// By when the ring of this CPU's last claim outside an NMI is due, if that is near.
    pub(super) fn outside_due(&self, now: Timestamp, limits: InTicks<'_>) -> Option<Timestamp> {
        let due = self.outside_due.get();
        (due.since(now) <= limits.cap()).then_some(due)
    }

    /// What is granted, for a debugger or a report. Any CPU may ask.
    pub(crate) fn snapshot(&self, now: Timestamp, limits: InTicks<'_>) -> Granted {
        let mut granted = Granted::default();
        for (_, grant) in self.grants().filter(|(_, grant)| grant.due.explains()) {
            if self.is_beyond_cap(grant.due, now, limits) || is_far_ahead(grant.due, now, limits) {
                continue;
            }
            if let Some(edges) = granted.edges.get_mut(grant.kind as usize) {
                *edges = edges.saturating_add(grant.rings);
            }
            match grant.due {
                Due::By(deadline) => {
                    let left = usize::try_from(deadline.since(now)).unwrap_or(usize::MAX);
                    granted.left_ticks = granted.left_ticks.max(left);
                }
                Due::After { .. } => granted.waits_for_send = true,
                _ => {}
            }
        }
        granted.waits_for_send |=
            self.taken.get().is_some_and(|taken| matches!(taken.due, Due::After { .. }));
        granted
    }

    /// How long this CPU could have absorbed edges without a gap.
    pub(crate) fn absorbable_ticks(&self, now: Timestamp) -> u64 {
        self.live_time.ticks_so_far(now)
    }

    /// Forgets all: this CPU comes back from being offline.
    pub(crate) fn reset(&self, now: Timestamp) {
        self.drop_where(now, |_| true);
        self.taken.clear();
        self.set_in_use(0);
    }

    fn grants(&self) -> impl Iterator<Item = (&Entry, Grant)> {
        self.entries.iter().filter_map(|entry| Some((entry, entry.get()?)))
    }

    fn find(&self, is_it: impl Fn(&Grant) -> bool) -> Option<(&Entry, Option<Grant>)> {
        self.grants().find(|(_, grant)| is_it(grant)).map(|(entry, grant)| (entry, Some(grant)))
    }

    fn free_entry(&self) -> Option<(&Entry, Option<Grant>)> {
        self.entries.iter().find(|entry| entry.get().is_none()).map(|entry| (entry, None))
    }

    /// Makes room, where no entry is free, by making one of two grants that are alike.
    fn join_two(&self) -> Option<(&Entry, Option<Grant>)> {
        for (place, (entry, grant)) in self.grants().enumerate() {
            let like = self.grants().skip(place.wrapping_add(1));
            if let Some((kept, other)) = like.into_iter().find(|it| it.1.due.is_like(grant.due)) {
                kept.set(joined(other, grant));
                self.free(entry);
                return Some((entry, None));
            }
        }
        None
    }

    #[inline(always)]
    fn in_use(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    fn set_in_use(&self, entries: usize) {
        self.in_use.store(entries, Ordering::Relaxed);
    }

    fn free(&self, entry: &Entry) {
        entry.clear();
        self.set_in_use(self.in_use().saturating_sub(1));
    }

    fn take_from(&self, entry: &Entry, grant: Grant, now: Timestamp) {
        match grant.rings.saturating_sub(1) {
            0 => self.free(entry),
            rings => entry.set(Grant { rings, ..grant }),
        }
        self.update_live_time(now);
    }

    /// Notes that an edge took a ring.
    fn note_taken(&self, due: Due, now: Timestamp, limits: InTicks<'_>) {
        let before = self.taken.get().filter(|it| !is_far_ahead(it.due, now, limits));
        let latest = before.map_or(due, |before| before.due.later_of(due));
        if before.is_none_or(|before| before.due.is_known()) && !latest.is_known() {
            self.set_in_use(self.in_use().wrapping_add(1));
        }
        self.taken.set(Grant { kind: GrantKind::Collapsed, rings: 1, due: latest });
    }

    fn drop_where(&self, now: Timestamp, is_over: impl Fn(&Grant) -> bool) {
        let mut dropped = false;
        for (entry, _) in self.grants().filter(|(_, grant)| is_over(grant)) {
            self.free(entry);
            dropped = true;
        }
        if dropped {
            self.update_live_time(now);
        }
    }

    fn update_live_time(&self, now: Timestamp) {
        if !self.grants().any(|(_, grant)| grant.due.explains()) {
            self.live_time.ends(now);
        }
    }

    /// Whether the cap has ended a ring without any open point. It counts from its deadline or from
    /// when this CPU last left an NMI, whichever is later: until then the CPU could not take it.
    fn is_beyond_cap(&self, due: Due, as_of: Timestamp, limits: InTicks<'_>) -> bool {
        let (Due::By(deadline) | Due::LateSendBy(deadline)) = due else {
            return false;
        };
        let could_take_from = deadline.later_of(self.last_leave.get());
        as_of.since(could_take_from) > limits.cap()
    }
}

/// Whether a deadline is farther ahead of a moment than two caps. Seen from now, it is of a clock
/// that was reset since. Twice the cap is no reset: other CPUs' clocks may be ahead, and an NMI on
/// top may have lasted.
fn is_far_ahead(due: Due, now: Timestamp, limits: InTicks<'_>) -> bool {
    match due {
        Due::By(deadline) | Due::LateSendBy(deadline) => {
            deadline.since(now) > limits.cap().saturating_mul(2)
        }
        _ => false,
    }
}

/// A grant that stands for two that are alike: until the later of their dues.
fn joined(grant: Grant, other: Grant) -> Grant {
    let rings = grant.rings.saturating_add(other.rings);
    Grant { rings, due: grant.due.later_of(other.due), ..grant }
}
