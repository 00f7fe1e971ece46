// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machine-wide claims: a Platform condition whose ring goes to other CPUs, comes later, or rings many.
//!
//! Whoever claims such a condition does not write to the CPUs on its route, of which there may be
//! thousands. It publishes, in the handler's slot, one more claim and a deadline. Each CPU compares the
//! count with what it has seen, where it might need the grant: before it calls an edge unknown, when it
//! claims something itself, and at its tick. So it *adopts* the grant, into its own pool.
//!
//! # Orderings
//!
//! *Writers*: the holder of the poll lock, and whoever claims outside an NMI. *Readers*: every CPU. First the
//! deadline, then the slot's count, Release, then the count of all, Release; read in the opposite order,
//! Acquire: who sees a count sees the deadline of that claim or of a later one. Two may publish at once, so a
//! deadline is replaced by a later one only.
//!
//! # Why publishing after the handler's acknowledgement is early enough
//!
//! Between the two, another CPU may take the ring, and finds neither condition nor claim. It then asks the
//! Platform handlers itself, and finds the poll lock taken, since the claim is published before the lock
//! is released. So it defers its edge, and settles it by what that poll claimed. A claim outside an NMI holds
//! no lock, and so is published before.

use super::{
    credits::MOST_CREDITS,
    doorbell::{RingTarget, SlotDoorbell},
    pool::Grants,
};
use crate::{
    contract::{GrantKind, HANDLERS_PER_CLASS},
    primitive::{AtomicUsize, Ordering, OwnWord, const_unless_loom},
    time::{InTicks, Timestamp},
};

/// What is published of one Platform slot.
#[derive(Debug)]
pub(crate) struct PublishedClaims {
    claims: AtomicUsize,
    deadline: AtomicUsize,
}

/// How many machine-wide claims there were.
#[derive(Debug)]
pub(crate) struct MachineWideClaims(AtomicUsize);

impl MachineWideClaims {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self(AtomicUsize::new(0))
        }
    }

    #[inline(always)]
    fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

impl PublishedClaims {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self { claims: AtomicUsize::new(0), deadline: AtomicUsize::new(0) }
        }
    }

    /// One more claim, whose rings reach their CPUs until `deadline`.
    pub(crate) fn publish(
        &self,
        all: &MachineWideClaims,
        deadline: Timestamp,
        limits: InTicks<'_>,
    ) {
        self.extend_to(deadline, limits);
        self.claims.fetch_add(1, Ordering::Release);
        all.0.fetch_add(1, Ordering::Release);
    }

    /// The rings of the last claim reach their CPUs until `deadline`, later than was published. CPUs that have
    /// adopted it look again.
    pub(crate) fn renew(&self, all: &MachineWideClaims, deadline: Timestamp, limits: InTicks<'_>) {
        self.extend_to(deadline, limits);
        all.0.fetch_add(1, Ordering::Release);
    }

    /// Each failure of the exchange is a claim that somebody published meanwhile, so their deadlines are about
    /// the same. One farther ahead than any lateness can be is from before the clock was reset.
    fn extend_to(&self, deadline: Timestamp, limits: InTicks<'_>) {
        const TRIES: usize = 4;
        for _ in 0..TRIES {
            let before = self.deadline();
            let ahead = before.since(deadline);
            if before == deadline || ahead != 0 && ahead <= limits.cap() {
                return;
            }
            let (before, after) = (before.word(), deadline.word());
            let raised =
                self.deadline.compare_exchange(before, after, Ordering::Relaxed, Ordering::Relaxed);
            if raised.is_ok() {
                return;
            }
        }
    }

    fn claims(&self) -> usize {
        self.claims.load(Ordering::Acquire)
    }

    fn deadline(&self) -> Timestamp {
        Timestamp::from_word(self.deadline.load(Ordering::Relaxed))
    }
}

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
    /// Whether there may be machine-wide claims that this CPU has not looked at.
    #[inline(always)]
    pub(crate) fn has_unseen_claims(&self, all: &MachineWideClaims) -> bool {
        self.seen_claims.load(Ordering::Relaxed) != all.count()
    }

    /// Takes the machine-wide grants that this CPU has not looked at into its pool, if they have not ended.
    ///
    /// An NMI on top adopts what it finds; then the exchange fails, or this one finds a smaller count than was
    /// seen, and adopts nothing. What an NMI on top does not find any more, and does not find granted yet, it
    /// leaves to the outermost dispatch. So this is called inside the read side.
    pub(crate) fn adopt(
        &self,
        slots: &impl PlatformSlots,
        all: &MachineWideClaims,
        now: Timestamp,
        limits: InTicks<'_>,
    ) {
        let count = all.count();
        if self.seen_claims.load(Ordering::Relaxed) == count {
            return;
        }
        let registered = slots.registered().fold(0, |bits, index| bits | bit_of(index));
        let mut rest = registered | self.routes.load(Ordering::Relaxed);
        while rest != 0 {
            let index = rest.trailing_zeros() as usize;
            rest &= rest.wrapping_sub(1);
            if let Some((slot, seen)) = slots.slot(index).zip(self.seen.get(index)) {
                self.adopt_of(slot, seen, self.ring_target(index), now, limits);
            }
        }
        self.seen_claims.store(count, Ordering::Relaxed);
    }

    /// Looks at the claims of one slot. Those whose rings go elsewhere are seen, too, so that a route which is
    /// opened later finds none of them.
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
        let deadline =
            self.last_claim_ends(now, limits).map_or(deadline, |it| it.later_of(deadline));
        if self.has_not_ended(deadline, now, limits) {
            let edges = new.min(MOST_CREDITS).saturating_mul(slot.doorbell.rings_of_a_claim());
            self.grant(GrantKind::MachineWide, edges, deadline, now, limits);
        }
    }

    /// This CPU is about to publish a claim of `slot`, and knows what to grant itself for it. Before, so that
    /// an NMI on top does not adopt it.
    pub(crate) fn saw_own_claim(&self, slot: usize) {
        if let Some(seen) = self.seen.get(slot) {
            seen.fetch_add(1, Ordering::Relaxed);
        }
        self.seen_claims.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the doorbell of Platform slot `slot` may ring this CPU.
    pub(crate) fn ring_target(&self, slot: usize) -> RingTarget {
        match self.routes.load(Ordering::Relaxed) & bit_of(slot) {
            0 => RingTarget::OtherCpus,
            _ => RingTarget::ThisCpu,
        }
    }

    /// Under the writer lock.
    pub(crate) fn set_route(&self, slot: usize, ring: RingTarget) {
        let routes = self.routes.load(Ordering::Relaxed);
        let bit = bit_of(slot);
        let routes = match ring {
            RingTarget::ThisCpu => routes | bit,
            RingTarget::OtherCpus => routes & !bit,
        };
        self.routes.store(routes, Ordering::Relaxed);
    }
}

/// The bit that stands for a slot.
const fn bit_of(slot: usize) -> usize {
    1_usize.wrapping_shl(slot as u32)
}

const _: () = assert!(HANDLERS_PER_CLASS <= 16, "a bit for each");
