// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machine-wide claims, as the machine publishes them: a Platform condition whose ring goes to
//! other CPUs, comes later, or rings many.
//!
//! Rule: a CPU that claims such a condition does not write to the CPUs on its route, of which there
//! may be thousands. It publishes, in the handler's slot, as many rings more as its doorbell may
//! make, and a deadline. Each CPU [adopts](super::adopt) them when it might need it. They are rings
//! and not claims, since the slot may have another handler by then, or its doorbell other edges.
//!
//! # Orderings
//!
//! *Writers*: the holder of the poll lock, a CPU that claims outside an NMI, and a CPU that marks
//! the lock's holder offline. *Readers*: every CPU. A writer stores first the deadline, then the
//! slot's count, Release, then the count of all, Release; a reader loads them in the opposite
//! order, Acquire. So a CPU that sees a count sees the deadline of that claim or of a later one.
//! Two CPUs may publish at the same time, so a deadline is replaced by a later one only.
//!
//! A CPU that claims outside an NMI counts itself as claiming before it publishes, and no longer,
//! Release, after it has stored the deadline by which the ring is due. So a CPU that sees its claim
//! either sees it claiming, or, Acquire, sees that deadline.
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
    /// How many rings were claimed.
    rings: AtomicUsize,
    /// The low part of the moment by which the rings have come.
    deadline: AtomicUsize,
    /// How many CPUs are claiming outside an NMI.
    claiming: AtomicUsize,
    window: Window,
}

/// How many rings were claimed so long ago that they have come: so that a CPU which has looked at
/// none of them for seconds adopts only the newest.
///
/// A window lasts for the cap at least. What was claimed before the window before this one is older
/// than the cap. One exchange elects the CPU that begins a window. A CPU that reads a count of
/// before that takes some rings more for new.
#[derive(Debug)]
struct Window {
    /// The low part of the moment at which this window began.
    began: AtomicUsize,
    /// How many rings there were when it began.
    rings: AtomicUsize,
    /// How many there were when the one before began.
    rings_before: AtomicUsize,
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
            Self {
                rings: AtomicUsize::new(0),
                deadline: AtomicUsize::new(0),
                claiming: AtomicUsize::new(0),
                window: Window {
                    began: AtomicUsize::new(0),
                    rings: AtomicUsize::new(0),
                    rings_before: AtomicUsize::new(0),
                },
            }
        }
    }

    /// Publishes one more claim, made at `claimed`, whose rings reach their CPUs until `deadline`.
    pub(crate) fn publish(
        &self,
        all: &MachineWideClaims,
        rings: usize,
        claimed: Timestamp,
        deadline: Timestamp,
        limits: InTicks<'_>,
    ) {
        let before = self.rings.load(Ordering::Relaxed);
        let last = deadline.nearest_of(self.deadline.load(Ordering::Relaxed));
        self.window.pass(claimed, last, before, limits);
        self.extend_to(deadline, limits);
        self.rings.fetch_add(rings, Ordering::Release);
        all.0.fetch_add(1, Ordering::Release);
    }

    /// Publishes a claim that this CPU is about to make outside an NMI.
    pub(crate) fn begin_claim(
        &self,
        all: &MachineWideClaims,
        rings: usize,
        claimed: Timestamp,
        deadline: Timestamp,
        limits: InTicks<'_>,
    ) {
        self.claiming.fetch_add(1, Ordering::Relaxed);
        self.publish(all, rings, claimed, deadline, limits);
    }

    /// Publishes that this CPU has made it: its rings reach their CPUs until `deadline`.
    pub(crate) fn end_claim(&self, deadline: Timestamp, limits: InTicks<'_>) {
        self.extend_to(deadline, limits);
        self.claiming.fetch_sub(1, Ordering::Release);
    }

    /// Whether a CPU is claiming outside an NMI, so that its ring has no deadline yet.
    pub(super) fn is_being_claimed(&self) -> bool {
        self.claiming.load(Ordering::Acquire) != 0
    }

    /// Each failure of the exchange is a claim that another CPU published meanwhile, so their
    /// deadlines are about the same. One farther ahead than any lateness can be is from before the
    /// clock was reset.
    fn extend_to(&self, deadline: Timestamp, limits: InTicks<'_>) {
        const TRIES: usize = 4;
        for _ in 0..TRIES {
            let before = self.deadline.load(Ordering::Relaxed);
            let published = deadline.nearest_of(before);
            let ahead = published.since(deadline);
            if published == deadline || ahead != 0 && ahead <= limits.cap() {
                return;
            }
            let after = deadline.word();
            let extended =
                self.deadline.compare_exchange(before, after, Ordering::Relaxed, Ordering::Relaxed);
            if extended.is_ok() {
                return;
            }
        }
    }

    /// How many rings were claimed so long ago that they have come.
    pub(super) fn long_ago(&self) -> usize {
        self.window.rings_before.load(Ordering::Relaxed)
    }

    pub(super) fn rings(&self) -> usize {
        self.rings.load(Ordering::Acquire)
    }

    /// The published deadline, for a CPU at `now`.
    pub(super) fn deadline(&self, now: Timestamp) -> Timestamp {
        now.nearest_of(self.deadline.load(Ordering::Relaxed))
    }
}

impl Window {
    /// Begins the next one, if this one has lasted for the cap, or is of a clock that was reset.
    /// There were `rings` before, which were due by `last`: if that is long ago, all are; and so
    /// they are if it is farther ahead than any is due, by a clock that was reset since.
    fn pass(&self, now: Timestamp, last: Timestamp, rings: usize, limits: InTicks<'_>) {
        let began = self.began.load(Ordering::Relaxed);
        let since = now.nearest_of(began);
        if now.since(since) <= limits.cap() && since.since(now) <= limits.cap() {
            return;
        }
        let elected =
            self.began.compare_exchange(began, now.word(), Ordering::Relaxed, Ordering::Relaxed);
        if elected.is_ok() {
            let is_reset = last.since(now) > limits.cap().saturating_mul(2);
            let all_are = now.since(last) > limits.cap() || is_reset;
            let before = if all_are { rings } else { self.rings.load(Ordering::Relaxed) };
            self.rings_before.store(before, Ordering::Relaxed);
            self.rings.store(rings, Ordering::Relaxed);
        }
    }
}
