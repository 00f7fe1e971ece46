// SPDX-License-Identifier: MIT OR Apache-2.0
//! Grants: which edge without a condition is explained.
//!
//! A CPU has one pool: counts of edges that it may absorb, by kind, and one deadline for them all. They
//! come from
//!
//! * a dispatch that claims the conditions of k doorbells: k − 1, since one edge brought it here;
//! * a claim behind a doorbell that rings late or more often than its status says: as many as its
//!   [`EdgeModel`](crate::EdgeModel) names;
//! * a claim of a Platform handler, which may answer a ring that went to another CPU: [published](wide) for
//!   each CPU on its route, and adopted there;
//! * a claim made [outside an NMI](crate::Registration::claim_outside_nmi): one.
//!
//! # When a grant ends
//!
//! A deadline says when the ring must have reached the CPU's latch, not when the CPU took it: that may have
//! been parked, stopped by firmware, or a virtual CPU that did not run. So the clock alone ends nothing. A
//! grant ends at an **open point** after its deadline: a moment at which the CPU would have taken any edge
//! that had come. These are its tick, its entry into idle, and, once it has left an NMI, the end of the one
//! before. The pool remembers the last of them, and is live while its deadline is not before it. A cap ends it all
//! the same: without any open point, after the deadline or the last NMI, whichever is later.
//!
//! Every claim moves the deadline of what is granted already to its own. The edge that brought a
//! granted CPU here may have been the granted one, and then the ring of what was claimed is still to come.
//!
//! A send that was taken before it rang has its ring ahead of it for as long as its sender pleases. It
//! [holds](hold) the open points back.
//!
//! # Who touches it
//!
//! Its own CPU only, in NMI or with interrupts off, so program order suffices, and what can come between
//! two accesses is an NMI on top. Such an NMI never makes the pool poorer than the interrupted code
//! believes; each function says why. `routes` alone is written by others, under the writer lock. Others only look, for
//! [people](crate::Granted).

mod credits;
mod hold;
mod reports;
mod terms;
mod time;
mod wide;

pub use credits::GrantKind;
pub(crate) use credits::MOST_CREDITS;
pub use reports::AbsorbedNmi;
pub(crate) use reports::Absorption;
pub(crate) use terms::{Claims, MOST_LATE_US, Terms};
pub(crate) use time::LiveTime;
pub(crate) use wide::{Published, WideClaims};

use crate::{
    limits::InTicks,
    moment::Moment,
    order::HANDLERS_PER_CLASS,
    primitive::{AtomicUsize, Ordering, OwnWord, array_of, const_unless_loom},
    standing::Granted,
};
use credits::Credits;
use hold::{Hold, Look};
use reports::Rationing;

/// One CPU's pool of grants.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct Grants {
    credits: Credits,
    deadline: OwnWord,
    /// The last moment at which this CPU would have taken any edge that had come.
    last_open: OwnWord,
    /// When it left its last NMI.
    last_leave: OwnWord,
    /// When it last claimed something, in an NMI or in a poll outside.
    last_claim: OwnWord,
    hold: Hold,
    /// How many machine-wide claims it has looked at, of all and per Platform slot.
    seen_claims: OwnWord,
    seen: [OwnWord; HANDLERS_PER_CLASS],
    /// Which Platform slots' doorbells may ring here, by bit. Written under the writer lock.
    routes: AtomicUsize,
    rationing: Rationing,
    pub(crate) live_time: LiveTime,
}

impl Grants {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                credits: Credits::new(),
                deadline: OwnWord::new(0),
                last_open: OwnWord::new(0),
                last_leave: OwnWord::new(0),
                last_claim: OwnWord::new(0),
                hold: Hold::new(),
                seen_claims: OwnWord::new(0),
                seen: array_of![OwnWord::new(0); HANDLERS_PER_CLASS],
                routes: AtomicUsize::new(0),
                rationing: Rationing::new(),
                live_time: LiveTime::new(),
            }
        }
    }

    /// Nothing was ever granted that has not been used up or found dead since.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.credits.look().is_empty()
    }

    fn load(word: &OwnWord) -> Moment {
        Moment::from_word(word.load(Ordering::Relaxed))
    }

    /// Whether an edge that comes now may be absorbed.
    pub(crate) fn is_live(&self, now: Moment, limits: InTicks<'_>) -> bool {
        !self.is_empty() && self.reaches(Self::load(&self.deadline), now, limits)
    }

    /// Whether a grant that ends at `deadline` has not ended. One farther ahead than any lateness can be
    /// is from before the clock was reset, and has. Twice the cap is no reset: other CPUs' clocks may be ahead, and
    /// an NMI on top may have lasted.
    fn reaches(&self, deadline: Moment, now: Moment, limits: InTicks<'_>) -> bool {
        if deadline.is_before(Self::load(&self.last_open)) {
            return false;
        }
        let cap = limits.cap();
        let could_take_from = deadline.later_of(Self::load(&self.last_leave));
        now.since(could_take_from) <= cap && deadline.since(now) <= cap.saturating_mul(2)
    }

    /// Grants `edges`, and moves the deadline of all to `deadline` at least.
    ///
    /// An NMI on top may grant, use up, or find dead. It comes before the exchange in `drop_all`, which then
    /// drops nothing, or after, and then what it grants stays. A deadline that it moved is never moved back:
    /// only the one that was found dead is replaced by an earlier one. It was read before and after the counts,
    /// so that no new count is found dead by an old deadline, or an old count by a new one.
    pub(crate) fn grant(
        &self,
        kind: GrantKind,
        edges: usize,
        deadline: Moment,
        now: Moment,
        limits: InTicks<'_>,
    ) {
        self.account(now, limits);
        let before = Self::load(&self.deadline);
        let counts = self.credits.look();
        let is_steady = Self::load(&self.deadline) == before;
        let was_live = !is_steady || !counts.is_empty() && self.reaches(before, now, limits);
        if !was_live && !counts.is_empty() {
            self.credits.drop_all(counts);
        }
        if !self.reaches(deadline, now, limits) {
            // The clock was reset since.
            self.last_open.store(now.word(), Ordering::Relaxed);
        }
        if was_live || !self.replace_deadline(before, deadline) {
            self.raise_to(deadline);
        }
        self.credits.add(kind, edges);
        self.raise_for_claims_on_top(now, limits);
        self.live_time.begins(now);
    }

    /// Something was claimed: what is granted already stays so until `deadline` at least.
    pub(crate) fn raise(&self, deadline: Moment, now: Moment, limits: InTicks<'_>) {
        if self.is_live(now, limits) {
            self.raise_to(deadline);
        }
    }

    /// Something was claimed. After what that grants has been granted, and what others have claimed before has been
    /// adopted: a claim that is seen later may be older than this one.
    ///
    /// An NMI on top may have noted a later one, which stays, unless it is of a clock that was reset since.
    #[inline(always)]
    pub(crate) fn note_claim<'a>(&self, now: Moment, limits: impl FnOnce() -> InTicks<'a>) {
        let last = Self::load(&self.last_claim);
        if last.is_before(now) || last != now && last.since(now) > limits().cap() {
            self.last_claim.store(now.word(), Ordering::Relaxed);
        }
    }

    /// Until when the ring of this CPU's last claim has reached its latch. An edge that is granted only now may
    /// have brought the CPU to that claim, and then that ring comes instead.
    ///
    /// A claim later than `now` by more than the cap is of a clock that was reset since.
    fn last_claim_ends(&self, now: Moment, limits: InTicks<'_>) -> Option<Moment> {
        let claim = Self::load(&self.last_claim);
        (claim.since(now) <= limits.cap()).then(|| claim.after(limits.late()))
    }

    /// What is granted now, by somebody who has looked at the clock at `now`, lasts as long as what NMIs on top
    /// have claimed since.
    fn raise_for_claims_on_top(&self, now: Moment, limits: InTicks<'_>) {
        if !Self::load(&self.last_claim).is_before(now) {
            if let Some(ends) = self.last_claim_ends(now, limits) {
                self.raise_to(ends);
            }
        }
    }

    fn raise_to(&self, deadline: Moment) {
        const TRIES: usize = 16;
        for _ in 0..TRIES {
            let before = Self::load(&self.deadline);
            if !before.is_before(deadline) || self.replace_deadline(before, deadline) {
                return;
            }
        }
    }

    fn replace_deadline(&self, before: Moment, after: Moment) -> bool {
        let (before, after) = (before.word(), after.word());
        self.deadline.compare_exchange(before, after, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Absorbs an edge, if a grant of one of `kinds` is live.
    pub(crate) fn absorb(
        &self,
        kinds: &[GrantKind],
        now: Moment,
        limits: InTicks<'_>,
    ) -> Option<Absorption> {
        if !self.is_live(now, limits) {
            return None;
        }
        let kind = self.credits.use_one_of(kinds)?;
        let live_ticks = self.live_time.so_far(now);
        self.account(now, limits);
        Some(self.rationing.absorbed(kind, live_ticks, now, limits))
    }

    /// The CPU leaves an NMI that was on top of no other: the edge of one underneath, too, may need what was
    /// granted. What had come when it left the one before has been taken since: as this one, or
    /// as one in between. When this one was delivered is not known: the clock was read later, perhaps much
    /// later on a virtual CPU. `is_shut`: an edge waits to be settled by what is granted.
    ///
    /// One that left later came on top of the end of this one. It has said all, unless its clock was reset since.
    #[inline(always)]
    pub(crate) fn leave<'a>(
        &self,
        left: Moment,
        is_shut: bool,
        limits: impl FnOnce() -> InTicks<'a>,
    ) {
        let before = Self::load(&self.last_leave);
        if left.is_before(before) && before.since(left) <= limits().cap() {
            return;
        }
        if !is_shut && !self.hold.holds() && Self::load(&self.last_open).is_before(before) {
            self.last_open.store(before.word(), Ordering::Relaxed);
        }
        self.last_leave.store(left.word(), Ordering::Relaxed);
    }

    /// The CPU is at its tick or about to idle: any edge that came before `now` has been taken. `now` was
    /// read before.
    ///
    /// An NMI on top may open later than `now`. Going back to `now` only lets a grant live until the next
    /// open point.
    pub(crate) fn open(&self, now: Moment, is_shut: bool, limits: InTicks<'_>) {
        if !is_shut && !self.hold.holds() {
            self.last_open.store(now.word(), Ordering::Relaxed);
        }
        self.account(now, limits);
    }

    /// A send was taken before it finished, and somebody should [look](Self::look_at_sends) whether it has.
    #[inline(always)]
    pub(crate) fn waits_for_send(&self) -> bool {
        self.hold.is_set()
    }

    /// Before the CPU opens or leaves: `unfinished` are the sends to it whose ring is not known to be made. The clock
    /// is read after that look: one that has finished may have done so just before it.
    pub(crate) fn look_at_sends(
        &self,
        unfinished: impl FnOnce() -> usize,
        now: Moment,
        clock: impl FnOnce() -> Moment,
        limits: InTicks<'_>,
    ) {
        let was_live = self.is_live(now, limits);
        let look = self.hold.look(unfinished, now, limits);
        if was_live && look != Look::HoldsNothing {
            self.raise_to(clock().after(limits.late()));
        }
    }

    /// A dispatch took requests, and `unfinished` sends have not rung as far as is known. Also where nothing is
    /// granted yet: what brought the CPU here may be claimed, and granted, later, by a poll.
    #[inline(always)]
    pub(crate) fn hold_for(&self, unfinished: usize, now: Moment) {
        self.hold.begin(unfinished, now);
    }

    /// An edge that nothing explains may be that of a send whose sender was stuck between request and
    /// ring.
    pub(crate) fn may_be_late_send(&self, now: Moment, limits: InTicks<'_>) -> bool {
        self.hold.may_be_late_send(now, limits)
    }

    fn account(&self, now: Moment, limits: InTicks<'_>) {
        if !self.is_live(now, limits) {
            self.live_time.ends(now);
        }
    }

    /// What is granted, for people. Any CPU may ask.
    pub(crate) fn standing(&self, now: Moment, limits: InTicks<'_>) -> Granted {
        if !self.is_live(now, limits) {
            return Granted { waits_for_send: self.hold.holds(), ..Granted::default() };
        }
        Granted {
            edges: self.credits.look().by_kind(),
            left_ticks: Self::load(&self.deadline).since(now),
            waits_for_send: self.hold.holds(),
        }
    }

    /// The CPU comes back from being offline. Nothing that was granted before counts.
    pub(crate) fn reset(&self, now: Moment) {
        self.credits.reset();
        self.hold.reset();
        self.live_time.ends(now);
        self.last_open.store(now.word(), Ordering::Relaxed);
        self.last_leave.store(now.word(), Ordering::Relaxed);
        self.last_claim.store(0, Ordering::Relaxed);
    }
}
