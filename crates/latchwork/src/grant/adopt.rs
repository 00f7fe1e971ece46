// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machine-wide claims, as a CPU adopts them: what [other CPUs have published](super::published)
//! becomes rings of its own ledger.
//!
//! Rule: a CPU looks at the published counts whenever it might need the rings: before it calls an
//! edge unknown, when it claims something itself, and before each open point. It adopts each claim
//! once, and only if the claim's ring may come to this CPU.

use super::{
    entry::{Due, Grant},
    held::Floor,
    ledger::Ledger,
    published::{MachineWideClaims, PublishedClaims},
    routes::bit_of,
};
use crate::{
    contract::{GrantKind, HANDLERS_PER_CLASS},
    primitive::{Ordering, OwnWord},
    send_wait::SendWait,
    time::{InTicks, Timestamp},
};

/// The Platform slots, as far as grants go.
pub(crate) trait PlatformSlots {
    /// The slots of the handlers that are registered, for a CPU that has entered the read side.
    fn registered(&self) -> impl Iterator<Item = usize>;

    /// What is published of a slot; `None` if there is no such one.
    fn published(&self, index: usize) -> Option<&PublishedClaims>;
}

/// The moments by which a CPU adopts: which rings may still come, and what time it is.
#[derive(Clone, Copy)]
pub(crate) struct AdoptAt<'a> {
    /// When the oldest edge came that a ring may have to explain.
    pub(crate) as_of: Timestamp,
    pub(crate) now: Timestamp,
    pub(crate) limits: InTicks<'a>,
    /// Begins to wait for all that is under way.
    pub(crate) under_way: &'a dyn Fn() -> SendWait,
}

impl Ledger {
    /// Whether there may be machine-wide claims at which this CPU has not looked.
    #[inline(always)]
    pub(crate) fn has_unseen_claims(&self, all: &MachineWideClaims) -> bool {
        self.seen.of_all.load(Ordering::Relaxed) != all.count()
    }

    /// Adds the rings of machine-wide claims at which this CPU has not looked.
    pub(crate) fn adopt(
        &self,
        slots: &impl PlatformSlots,
        all: &MachineWideClaims,
        at: AdoptAt<'_>,
    ) {
        let count = all.count();
        if self.seen.of_all.load(Ordering::Relaxed) == count {
            return;
        }
        let registered = slots.registered().fold(0, |bits, index| bits | bit_of(index));
        let routed = self.routes.at(at.as_of);
        let mut held = self.begin(at.now, at.limits);
        let floor = self.floor(at.now, at.limits);
        let mut rest = registered | routed;
        while rest != 0 {
            let index = rest.trailing_zeros() as usize;
            rest &= rest.wrapping_sub(1);
            let published = slots.published(index);
            if let Some((published, seen)) = published.zip(self.seen.of_slot.get(index)) {
                let rings = new_rings_of(published, seen);
                let comes_here = routed & bit_of(index) != 0 && rings != 0;
                if let Some(due) = comes_here.then(|| due_of(published, floor, at)).flatten() {
                    held.add(Grant { kind: GrantKind::MachineWide, rings, due });
                }
            }
        }
        self.keep(&held, at.now, at.limits);
        self.seen.of_all.store(count, Ordering::Relaxed);
    }

    /// By when the rings of claims outside an NMI are due that are over, for a CPU at `now`.
    pub(crate) fn claims_due(
        &self,
        slots: &impl PlatformSlots,
        now: Timestamp,
        limits: InTicks<'_>,
    ) -> Timestamp {
        let mut latest = self.outside_due(now, limits).map_or(now, |due| due.later_of(now));
        let mut routed = self.routes.at(now);
        while routed != 0 {
            let index = routed.trailing_zeros() as usize;
            routed &= routed.wrapping_sub(1);
            let due = slots.published(index).map(|it| it.deadline(now));
            let due = due.filter(|due| due.since(now) <= limits.cap());
            latest = due.map_or(latest, |due| due.later_of(latest));
        }
        latest
    }

    /// Notes a claim of `slot` that this CPU is about to publish, and whose `rings` it adds itself.
    pub(crate) fn saw_own_claim(&self, slot: usize, rings: usize) {
        if let Some(seen) = self.seen.of_slot.get(slot) {
            seen.store(seen.load(Ordering::Relaxed).wrapping_add(rings), Ordering::Relaxed);
        }
        let of_all = self.seen.of_all.load(Ordering::Relaxed).wrapping_add(1);
        self.seen.of_all.store(of_all, Ordering::Relaxed);
    }
}

/// Looks at what is published of one slot, and counts the rings that are new. It also sees those
/// that go elsewhere, so that a route which is opened later finds none of them.
fn new_rings_of(published: &PublishedClaims, seen: &OwnWord) -> usize {
    let rings = published.rings();
    let unseen = rings.wrapping_sub(seen.load(Ordering::Relaxed));
    if unseen == 0 {
        return 0;
    }
    let new = unseen.min(rings.wrapping_sub(published.long_ago()));
    seen.store(rings, Ordering::Relaxed);
    new
}

/// Until when the rings of what is `published` may come; `None` if they have come.
fn due_of(published: &PublishedClaims, floor: Floor, at: AdoptAt<'_>) -> Option<Due> {
    if published.is_being_claimed() {
        return Some(Due::After { wait: (at.under_way)(), taken: None });
    }
    let deadline = published.deadline(at.now);
    let cap = at.limits.cap();
    if at.as_of.since(deadline) > cap || deadline.since(at.now) > cap.saturating_mul(2) {
        return None;
    }
    Some(floor.due_if_late(deadline))
}

const _: () = assert!(HANDLERS_PER_CLASS <= 16, "a bit for each");
