// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CPU's ledger: the rings that may still come to it, each until its own deadline.
//!
//! Rule: a claim adds the rings that it stands for, each edge takes the one that is due earliest,
//! and an open point drops those that were due before it. See the [parent](super) for why this
//! calls no ring unknown.

use super::{
    entry::{Due, Entry, Grant, Taken},
    held::{ENTRIES, Held, bit_of},
    live_time::LiveTime,
    rationing::Rationing,
    routes::Routes,
    seen::SeenClaims,
};
use crate::{
    contract::{GrantKind, Granted},
    primitive::{Ordering, OwnWord, array_of, const_unless_loom},
    send_wait::SendWait,
    time::{InTicks, OwnTime, Timestamp},
};

/// In the word of what is in use: the due of `taken` is not known.
const TAKEN: usize = 1 << ENTRIES;

/// One CPU's ledger.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Which entries hold a grant, a bit for each; and the mark [`TAKEN`].
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
        }
        let mut held = self.held();
        held.drop_where(|it| is_far_ahead(it.due, now, limits));
        held.add(grant);
        self.keep(&held, now);
    }

    /// Takes rings away: this CPU took so many edges. Each takes the ring that is due earliest.
    /// Returns how many were taken of each kind; fewer in all, if there is no ring that one more of
    /// the edges, which `arrived` then, may have been.
    ///
    /// An edge that waited cannot have been the ring of a claim made long after it. Such a ring is
    /// left.
    pub(crate) fn take(
        &self,
        edges: usize,
        arrived: Timestamp,
        now: Timestamp,
        limits: InTicks<'_>,
    ) -> Taken {
        let mut held = self.held();
        let left_at = self.last_leave.get();
        held.drop_where(|grant| {
            is_beyond_cap(grant.due, left_at, arrived, limits)
                || is_far_ahead(grant.due, now, limits)
        });
        let may_be = |due: Due| due.explains() && !is_far_ahead(due, arrived, limits);
        let (mut taken, mut latest) = (Taken::default(), None::<Due>);
        while taken.all() < edges {
            let Some((place, grant)) = held.earliest(may_be) else { break };
            let rings = grant.rings.min(edges.saturating_sub(taken.all()));
            held.take_from(place, grant, rings);
            taken.add(grant.kind, rings);
            latest = Some(latest.map_or(grant.due, |due| due.later_of(grant.due)));
        }
        self.keep(&held, now);
        if let Some(due) = latest {
            self.note_taken(due, now, limits);
        }
        taken
    }

    /// Takes excuses of sends that were written off, for so many edges that may have been those
    /// sends'. Returns how many there were.
    pub(crate) fn take_late_sends(&self, edges: usize, now: Timestamp) -> usize {
        let mut held = self.held();
        let mut taken: usize = 0;
        while taken < edges {
            let Some((place, grant)) = held.earliest(|due| !due.explains()) else { break };
            let excuses = grant.rings.min(edges.saturating_sub(taken));
            held.take_from(place, grant, excuses);
            taken = taken.saturating_add(excuses);
        }
        self.keep(&held, now);
        taken
    }

    /// Notes edges that rings explain. Says whether they are to be reported.
    pub(crate) fn note_absorbed(
        &self,
        edges: usize,
        absorbable_ticks: u64,
        now: Timestamp,
        limits: InTicks<'_>,
    ) -> Option<usize> {
        self.rationing.record(edges, absorbable_ticks, now, limits)
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
        let goes_on = |due: Due| match due {
            Due::After { wait, taken: Some(_) } => Some(Due::After { wait, taken: Some(now) }),
            _ => None,
        };
        let mut held = self.held();
        held.change_dues(goes_on);
        self.keep(&held, now);
        if let Some((grant, due)) = self.taken.get().and_then(|it| Some((it, goes_on(it.due)?))) {
            self.taken.set(Grant { due, ..grant });
        }
    }

    /// Looks at what rings without a deadline wait for. `finish` says which is the last wait, of
    /// those up to the one that it is given, that is over. Claims outside an NMI are due by
    /// `claims_due` then. Reads the clock after the look.
    pub(crate) fn look_again(
        &self,
        finish: impl FnOnce(SendWait) -> SendWait,
        claims_due: impl Fn(Timestamp) -> Timestamp,
        clock: impl FnOnce() -> Timestamp,
        limits: InTicks<'_>,
    ) {
        let mut held = self.held();
        let taken = if self.in_use() & TAKEN == 0 { None } else { self.taken.get() };
        let dues = held.iter().map(|(_, grant)| grant.due).chain(taken.map(|it| it.due));
        let Some(last) = dues.filter_map(Due::waits_for).reduce(SendWait::later_of) else {
            return;
        };
        let over = finish(last);
        let now = clock();
        let is_claim = |due: Due| matches!(due, Due::After { taken: None, .. });
        let has_finished = |wait: SendWait| !over.is_before(wait);
        let rung = now.after(limits.late());
        let look = |due: Due| match due {
            Due::After { wait, .. } if has_finished(wait) => {
                let due_by = if is_claim(due) { rung.later_of(claims_due(now)) } else { rung };
                Some(Due::By(due_by))
            }
            Due::After { wait, taken: Some(taken) } if now.since(taken) >= limits.hold() => {
                Some(Due::LateSend(wait))
            }
            Due::LateSend(wait) if has_finished(wait) => Some(Due::LateSendBy(rung)),
            _ => None,
        };
        held.change_dues(look);
        let taken = taken.and_then(|grant| Some(Grant { due: look(grant.due)?, ..grant }));
        if let Some(grant) = taken {
            self.taken.clear();
            self.set_in_use(self.in_use() & !TAKEN);
            if !grant.due.explains() {
                held.add(grant);
            }
        }
        self.keep(&held, now);
        if let Some(grant) = taken.filter(|grant| grant.due.explains()) {
            self.note_taken(grant.due, now, limits);
        }
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
        let left_at = self.last_leave.get();
        for (_, grant) in self.held().iter().filter(|(_, grant)| grant.due.explains()) {
            if is_beyond_cap(grant.due, left_at, now, limits)
                || is_far_ahead(grant.due, now, limits)
            {
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

    /// Reads what the ledger holds: one look for each entry that is in use.
    fn held(&self) -> Held {
        let in_use = self.in_use();
        Held::of(|place| match in_use & bit_of(place) {
            0 => None,
            _ => self.entries.get(place)?.get(),
        })
    }

    /// Writes what a step has changed, and notes whether the CPU can absorb an edge now.
    fn keep(&self, held: &Held, now: Timestamp) {
        if !held.has_changed() {
            return;
        }
        for (place, grant) in held.changed() {
            if let Some(entry) = self.entries.get(place) {
                entry.set(grant);
            }
        }
        self.set_in_use(held.in_use() | self.in_use() & TAKEN);
        match held.explain_an_edge() {
            true => self.live_time.begins(now),
            false => self.live_time.ends(now),
        }
    }

    fn drop_where(&self, now: Timestamp, is_over: impl Fn(&Grant) -> bool) {
        let mut held = self.held();
        held.drop_where(is_over);
        self.keep(&held, now);
    }

    #[inline(always)]
    fn in_use(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    fn set_in_use(&self, in_use: usize) {
        self.in_use.store(in_use, Ordering::Relaxed);
    }

    /// Notes that an edge took a ring.
    fn note_taken(&self, due: Due, now: Timestamp, limits: InTicks<'_>) {
        let before = self.taken.get().filter(|it| !is_far_ahead(it.due, now, limits));
        let latest = before.map_or(due, |before| before.due.later_of(due));
        if !latest.is_known() {
            self.set_in_use(self.in_use() | TAKEN);
        }
        self.taken.set(Grant { kind: GrantKind::Collapsed, rings: 1, due: latest });
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

/// Whether the cap has ended a ring without any open point, as of a moment. It counts from its
/// deadline or from when this CPU last `left` an NMI, whichever is later: until then the CPU could
/// not take it.
fn is_beyond_cap(due: Due, left: Timestamp, as_of: Timestamp, limits: InTicks<'_>) -> bool {
    match due {
        Due::By(deadline) | Due::LateSendBy(deadline) => {
            as_of.since(deadline.later_of(left)) > limits.cap()
        }
        _ => false,
    }
}
