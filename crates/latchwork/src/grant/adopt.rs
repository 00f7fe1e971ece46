// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machine-wide claims, as a CPU adopts them: what [other CPUs have published](super::published)
//! becomes a grant of its own pool.
//!
//! Rule: a CPU compares the published counts with those that it has seen whenever it might need the
//! grant: before it calls an edge unknown, when it claims something itself, and at its tick. It
//! adopts each claim once, and only if the claim's ring may come to this CPU.

use super::{
    credits::MOST_CREDITS,
    doorbell::{RingTarget, SlotDoorbell},
    pool::Grants,
    published::{MachineWideClaims, PublishedClaims},
    routes::bit_of,
};
use crate::{
    contract::{GrantKind, HANDLERS_PER_CLASS},
    primitive::{Ordering, OwnWord},
    time::{InTicks, Timestamp},
};

/// The Platform slots, as far as grants go.
pub(crate) trait PlatformSlots {
    /// The slots of the handlers that are registered, for a CPU that has entered the read side.
    fn registered(&self) -> impl Iterator<Item = usize>;

    /// A slot; `None` if there is no such one.
    fn slot(&self, index: usize) -> Option<PlatformSlot<'_>>;
}

/// What grants know of one Platform slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlatformSlot<'a> {
    pub(crate) published: &'a PublishedClaims,
    pub(crate) doorbell: &'a SlotDoorbell,
}

impl Grants {
    /// Whether there may be machine-wide claims at which this CPU has not looked.
    #[inline(always)]
    pub(crate) fn has_unseen_claims(&self, all: &MachineWideClaims) -> bool {
        !self.seen.are_all_of(all.count())
    }

    /// Takes the machine-wide grants at which this CPU has not looked into its pool, if they have
    /// not ended.
    ///
    /// An NMI on top adopts what it finds. Then the exchange fails, or this CPU finds a smaller
    /// count than it has seen, and adopts nothing. What an NMI on top does not find any more, and
    /// does not find granted yet, it leaves to the outermost dispatch. So this is called inside the
    /// read side.
    pub(crate) fn adopt(
        &self,
        slots: &impl PlatformSlots,
        all: &MachineWideClaims,
        now: Timestamp,
        limits: InTicks<'_>,
    ) {
        let count = all.count();
        if self.seen.are_all_of(count) {
            return;
        }
        let registered = slots.registered().fold(0, |bits, index| bits | bit_of(index));
        let mut rest = registered | self.routes.bits();
        while rest != 0 {
            let index = rest.trailing_zeros() as usize;
            rest &= rest.wrapping_sub(1);
            if let Some((slot, seen)) = slots.slot(index).zip(self.seen.of_slot.get(index)) {
                self.adopt_of(slot, seen, self.routes.ring_target(index), now, limits);
            }
        }
        self.seen.set_all(count);
    }

    /// Looks at the claims of one slot. It also sees those whose rings go elsewhere, so that a
    /// route which is opened later finds none of them.
    fn adopt_of(
        &self,
        slot: PlatformSlot<'_>,
        seen: &OwnWord,
        ring: RingTarget,
        now: Timestamp,
        limits: InTicks<'_>,
    ) {
        let claims = slot.published.claims();
        let before = seen.load(Ordering::Relaxed);
        let new = claims.wrapping_sub(before);
        let is_news = new != 0 && new <= usize::MAX / 2;
        if new == 0 && ring == RingTarget::ThisCpu {
            self.extend(slot.published.deadline(), now, limits);
        }
        let is_seen =
            || seen.compare_exchange(before, claims, Ordering::Relaxed, Ordering::Relaxed);
        if !is_news || is_seen().is_err() || ring == RingTarget::OtherCpus {
            return;
        }
        let deadline = slot.published.deadline();
        let deadline = self
            .last_claim
            .ring_is_due_by(now, limits)
            .map_or(deadline, |it| it.later_of(deadline));
        if self.open_points.let_live(deadline, now, limits) {
            let edges = new.min(MOST_CREDITS).saturating_mul(slot.doorbell.rings_of_a_claim());
            self.grant(GrantKind::MachineWide, edges, deadline, now, limits);
        }
    }

    /// Notes a claim of `slot` that this CPU is about to publish, and for which it knows what to
    /// grant itself. It does so before it publishes, so that an NMI on top does not adopt the
    /// claim.
    pub(crate) fn saw_own_claim(&self, slot: usize) {
        self.seen.add_own(slot);
    }
}

const _: () = assert!(HANDLERS_PER_CLASS <= 16, "a bit for each");
