// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CPU's ledger: the rings that may still come to it, each until its own deadline.
//!
//! Rule: a claim adds the rings that it stands for, each edge takes the one that is due earliest,
//! and an open point drops those that were due before it. See the [parent](super) for why this
//! calls no ring unknown.

use core::cell::OnceCell;

use super::{
    entry::{Due, Entry, Grant, Taken},
    held::{ENTRIES, Floor, Held, bit_of, is_beyond_cap, is_far_ahead},
    live_time::LiveTime,
    rationing::Rationing,
    routes::Routes,
    seen::SeenClaims,
};
use crate::{
    contract::{GrantKind, Granted},
    edge::{Edge, Edges},
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
    /// When this CPU last left an NMI, while it had grants; or when it got the first of them.
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

    /// Begins a step at `now`.
    pub(super) fn begin(&self, now: Timestamp, limits: InTicks<'_>) -> Held {
        let mut held = self.held();
        held.drop_where(|grant| is_far_ahead(grant.due, now, limits));
        held
    }

    /// Ends a step: writes what it has changed, and notes whether the CPU can absorb an edge now.
    pub(super) fn keep(&self, held: &Held, now: Timestamp, limits: InTicks<'_>) {
        if !held.has_changed() {
            return;
        }
        let in_use = self.in_use();
        if in_use == 0 {
            self.last_leave.set(now);
        }
        for (place, grant) in held.changed() {
            if let Some(entry) = self.entries.get(place) {
                entry.set(grant);
            }
        }
        self.set_in_use(held.in_use() | in_use & TAKEN);
        match held.explain_an_edge() {
            true => self.live_time.begins(now),
            false => self.live_time.ends(now),
        }
        if let Some(due) = held.taken() {
            self.note_taken(due, now, limits);
        }
    }

    /// Adds rings that may still come. Beyond [`MOST_RINGS`](super::entry::MOST_RINGS) of a kind
    /// there are no more: so many at once are a storm.
    pub(crate) fn add(&self, grant: Grant, now: Timestamp, limits: InTicks<'_>) {
        let mut held = self.begin(now, limits);
        held.add(grant);
        self.keep(&held, now, limits);
    }

    /// [Takes](Held::take) rings away for edges, which may have waited. Takes those that found one
    /// out of `batch`, and hands each lot to `absorbed`.
    pub(crate) fn absorb(
        &self,
        batch: &mut [Edges],
        now: Timestamp,
        limits: InTicks<'_>,
        mut absorbed: impl FnMut(&Edge, Taken),
    ) {
        let mut held = self.begin(now, limits);
        for edges in batch.iter_mut().filter(|it| !it.is_none()) {
            held.drop_what_the_cap_ends(edges.edge.arrived, limits);
            let taken = held.take(edges.count, edges.edge.arrived, edges.edge.seen, limits);
            edges.count = edges.count.saturating_sub(taken.all());
            if taken.all() != 0 {
                absorbed(&edges.edge, taken);
            }
        }
        self.keep(&held, now, limits);
    }

    /// Takes excuses of sends that were written off, for so many edges that may have been those
    /// sends'. Returns how many there were.
    pub(crate) fn take_late_sends(
        &self,
        edges: usize,
        now: Timestamp,
        limits: InTicks<'_>,
    ) -> usize {
        let mut held = self.held();
        let taken = held.take_excuses(edges);
        self.keep(&held, now, limits);
        taken
    }

    /// Notes edges that rings explain. Says whether they are to be reported.
    pub(crate) fn note_absorbed(
        &self,
        edges: usize,
        arrived: Timestamp,
        absorbable_ticks: u64,
        limits: InTicks<'_>,
    ) -> Option<usize> {
        self.rationing.record(edges, arrived, absorbable_ticks, limits)
    }

    /// Notes that this CPU claimed something at `now`.
    #[inline(always)]
    pub(crate) fn note_claim(&self, now: Timestamp) {
        self.last_claim.set(now);
    }

    /// What bounds the dues of rings that this CPU adds only now.
    pub(super) fn floor(&self, now: Timestamp, limits: InTicks<'_>) -> Floor {
        let claim = self.last_claim.get();
        let is_recent = now.since(claim) <= limits.cap() && claim.since(now) <= limits.cap();
        let taken = self.taken.get().filter(|it| !is_far_ahead(it.due, now, limits));
        let own = is_recent.then(|| claim.after(limits.late()));
        Floor { own, taken: taken.map(|it| it.due) }
    }

    /// Drops the rings that were due before `open_point`, a moment at which this CPU would have
    /// taken any edge that had come.
    pub(crate) fn note_open_point(
        &self,
        open_point: Timestamp,
        now: Timestamp,
        limits: InTicks<'_>,
    ) {
        let mut held = self.held();
        held.drop_where(|grant| match grant.due {
            Due::By(deadline) | Due::LateSendBy(deadline) => deadline.is_before(open_point),
            _ => false,
        });
        self.keep(&held, now, limits);
    }

    /// Notes that this CPU leaves an NMI, which `arrived` then. The end of the one before is an
    /// open point, if `may_open`: whatever had come by then this CPU has taken since, as the NMI
    /// that it leaves or as one in between. When the NMI that it leaves was delivered, nobody
    /// knows, so what was noted in it is none: the ledger was empty before.
    pub(crate) fn note_leave(
        &self,
        arrived: Timestamp,
        left: Timestamp,
        may_open: bool,
        limits: InTicks<'_>,
    ) {
        let before = self.last_leave.get();
        if may_open && before.is_before(arrived) {
            self.note_open_point(before, left, limits);
        }
        self.last_leave.set(left);
    }

    /// Notes that this CPU was parked in an NMI until now, while it could take no other, nor go on
    /// with a send of its own that the NMI interrupted: such a send is written off no sooner.
    pub(crate) fn note_end_of_parking(&self, now: Timestamp, limits: InTicks<'_>) {
        self.last_leave.set(now);
        let goes_on = |due: Due| match due {
            Due::After { wait, taken: Some(_) } => Some(Due::After { wait, taken: Some(now) }),
            _ => None,
        };
        let mut held = self.held();
        held.change_dues(goes_on);
        self.keep(&held, now, limits);
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
        let last_taken = self.taken.get();
        let taken = last_taken.filter(|_| self.in_use() & TAKEN != 0);
        let dues = held.iter().map(|(_, grant)| grant.due).chain(taken.map(|it| it.due));
        let Some(last) = dues.filter_map(Due::waits_for).reduce(SendWait::later_of) else {
            return;
        };
        let over = finish(last);
        let now = clock();
        let has_finished = |wait: SendWait| !over.is_before(wait);
        let rung = now.after(limits.late());
        let claims = OnceCell::new();
        let claims_due = || *claims.get_or_init(|| claims_due(now));
        let look = |due: Due| match due {
            Due::After { wait, taken } if has_finished(wait) => {
                Some(Due::By(if taken.is_none() { rung.later_of(claims_due()) } else { rung }))
            }
            Due::After { wait, taken: Some(taken) } if now.since(taken) >= limits.hold() => {
                Some(Due::LateSend(wait))
            }
            Due::LateSend(wait) if has_finished(wait) => Some(Due::LateSendBy(rung)),
            _ => None,
        };
        held.change_dues(look);
        let taken = taken.and_then(|grant| Some(Grant { due: look(grant.due)?, ..grant }));
        if let Some(last) = taken.or(last_taken).filter(|it| !is_far_ahead(it.due, now, limits)) {
            held.extend_excuses(last.due);
        }
        if let Some(grant) = taken {
            self.taken.clear();
            self.set_in_use(self.in_use() & !TAKEN);
            if !grant.due.explains() {
                held.add(grant);
            }
        }
        self.keep(&held, now, limits);
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
        self.set_in_use(0);
        self.taken.clear();
        self.live_time.ends(now);
    }

    /// Reads what the ledger holds: one look for each entry that is in use.
    fn held(&self) -> Held {
        let in_use = self.in_use();
        Held::of(self.last_leave.get(), |place| match in_use & bit_of(place) {
            0 => None,
            _ => self.entries.get(place)?.get(),
        })
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
