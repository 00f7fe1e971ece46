// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machine-wide claims, as the machine publishes them: a Platform condition whose ring goes to
//! other CPUs, comes later, or rings many.
//!
//! Rule: a CPU that claims such a condition does not write to the CPUs on its route, of which there
//! may be thousands. It publishes, in the handler's slot, one more claim and a deadline. Each CPU
//! [adopts](super::adopt) the grant when it might need it.
//!
//! # Orderings
//!
//! *Writers*: the holder of the poll lock, and a CPU that claims outside an NMI. *Readers*: every
//! CPU. A writer stores first the deadline, then the slot's count, Release, then the count of all,
//! Release; a reader loads them in the opposite order, Acquire. So a CPU that sees a count sees the
//! deadline of that claim or of a later one. Two CPUs may publish at the same time, so a deadline
//! is replaced by a later one only.
//!
//! # Why publishing after the handler's acknowledgement is early enough
//!
//! Between the two, another CPU may take the ring, and finds neither condition nor claim. It then
//! asks the Platform handlers itself, and finds the poll lock taken, since the claim is published
//! before the lock is released. So it defers its edge, and settles it by what that poll claimed. A
//! claim outside an NMI holds no lock, and so is published before.

use crate::{
    primitive::{AtomicUsize, Ordering, const_unless_loom},
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
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

impl PublishedClaims {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self { claims: AtomicUsize::new(0), deadline: AtomicUsize::new(0) }
        }
    }

    /// Publishes one more claim, whose rings reach their CPUs until `deadline`.
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

    /// Publishes that the rings of the last claim reach their CPUs until `deadline`, later than was
    /// published. CPUs that have adopted it look again.
    pub(crate) fn renew(&self, all: &MachineWideClaims, deadline: Timestamp, limits: InTicks<'_>) {
        self.extend_to(deadline, limits);
        all.0.fetch_add(1, Ordering::Release);
    }

    /// Each failure of the exchange is a claim that another CPU published meanwhile, so their
    /// deadlines are about the same. One farther ahead than any lateness can be is from before the
    /// clock was reset.
    fn extend_to(&self, deadline: Timestamp, limits: InTicks<'_>) {
        const TRIES: usize = 4;
        for _ in 0..TRIES {
            let before = self.deadline();
            let ahead = before.since(deadline);
            if before == deadline || ahead != 0 && ahead <= limits.cap() {
                return;
            }
            let (before, after) = (before.word(), deadline.word());
            let extended =
                self.deadline.compare_exchange(before, after, Ordering::Relaxed, Ordering::Relaxed);
            if extended.is_ok() {
                return;
            }
        }
    }

    pub(super) fn claims(&self) -> usize {
        self.claims.load(Ordering::Acquire)
    }

    pub(super) fn deadline(&self) -> Timestamp {
        Timestamp::from_word(self.deadline.load(Ordering::Relaxed))
    }
}
