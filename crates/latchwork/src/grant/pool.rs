// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CPU's pool of grants: when it is live, and what changes that.

use super::{
    credits::Credits,
    hold::{Hold, HoldUpdate},
    live_time::LiveTime,
    rationing::{Absorption, Rationing},
};
use crate::{
    contract::{GrantKind, Granted, HANDLERS_PER_CLASS},
    primitive::{AtomicUsize, Ordering, OwnWord, array_of, const_unless_loom},
    time::{InTicks, Timestamp},
};

/// Whether edges of a CPU wait to be settled by what is granted to it: then nothing ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsettled {
    Nothing,
    Edges,
}

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
    pub(super) seen_claims: OwnWord,
    pub(super) seen: [OwnWord; HANDLERS_PER_CLASS],
    /// Which Platform slots' doorbells may ring here, by bit. Written under the writer lock.
    pub(super) routes: AtomicUsize,
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
        self.credits.counts().is_empty()
    }

    fn load(word: &OwnWord) -> Timestamp {
        Timestamp::from_word(word.load(Ordering::Relaxed))
    }

    /// Whether an edge that comes now may be absorbed.
    pub(crate) fn is_live(&self, now: Timestamp, limits: InTicks<'_>) -> bool {
        !self.is_empty() && self.has_not_ended(Self::load(&self.deadline), now, limits)
    }

    /// Whether a grant that ends at `deadline` has not ended. One farther ahead than any lateness can be
    /// is from before the clock was reset, and has. Twice the cap is no reset: other CPUs' clocks may be ahead, and
    /// an NMI on top may have lasted.
    pub(super) fn has_not_ended(
        &self,
        deadline: Timestamp,
        now: Timestamp,
        limits: InTicks<'_>,
    ) -> bool {
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
        deadline: Timestamp,
        now: Timestamp,
        limits: InTicks<'_>,
    ) {
        self.update_live_time(now, limits);
        let before = Self::load(&self.deadline);
        let counts = self.credits.counts();
        let is_steady = Self::load(&self.deadline) == before;
        let was_live = !is_steady || !counts.is_empty() && self.has_not_ended(before, now, limits);
        if !was_live && !counts.is_empty() {
            self.credits.drop_all(counts);
        }
        if !self.has_not_ended(deadline, now, limits) {
            // The clock was reset since.
            self.last_open.store(now.word(), Ordering::Relaxed);
        }
        if was_live || !self.replace_deadline(before, deadline) {
            self.extend_to(deadline);
        }
        self.credits.add(kind, edges);
        self.extend_for_claims_on_top(now, limits);
        self.live_time.begins(now);
    }

    /// Something was claimed: what is granted already stays so until `deadline` at least.
    pub(crate) fn extend(&self, deadline: Timestamp, now: Timestamp, limits: InTicks<'_>) {
        if self.is_live(now, limits) {
            self.extend_to(deadline);
        }
    }

    /// Something was claimed. After what that grants has been granted, and what others have claimed before has been
    /// adopted: a claim that is seen later may be older than this one.
    ///
    /// An NMI on top may have noted a later one, which stays, unless it is of a clock that was reset since.
    #[inline(always)]
    pub(crate) fn note_claim<'a>(&self, now: Timestamp, limits: impl FnOnce() -> InTicks<'a>) {
        let last = Self::load(&self.last_claim);
        if last.is_before(now) || last != now && last.since(now) > limits().cap() {
            self.last_claim.store(now.word(), Ordering::Relaxed);
        }
    }

    /// Until when the ring of this CPU's last claim has reached its latch. An edge that is granted only now may
    /// have brought the CPU to that claim, and then that ring comes instead.
    ///
    /// A claim later than `now` by more than the cap is of a clock that was reset since.
    pub(super) fn last_claim_ends(&self, now: Timestamp, limits: InTicks<'_>) -> Option<Timestamp> {
        let claim = Self::load(&self.last_claim);
        (claim.since(now) <= limits.cap()).then(|| claim.after(limits.late()))
    }

    /// What is granted now, by somebody who has looked at the clock at `now`, lasts as long as what NMIs on top
    /// have claimed since.
    fn extend_for_claims_on_top(&self, now: Timestamp, limits: InTicks<'_>) {
        if !Self::load(&self.last_claim).is_before(now) {
            if let Some(ends) = self.last_claim_ends(now, limits) {
                self.extend_to(ends);
            }
        }
    }

    fn extend_to(&self, deadline: Timestamp) {
        const TRIES: usize = 16;
        for _ in 0..TRIES {
            let before = Self::load(&self.deadline);
            if !before.is_before(deadline) || self.replace_deadline(before, deadline) {
                return;
            }
        }
    }

    fn replace_deadline(&self, before: Timestamp, after: Timestamp) -> bool {
        let (before, after) = (before.word(), after.word());
        self.deadline.compare_exchange(before, after, Ordering::Relaxed, Ordering::Relaxed).is_ok()
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

    /// The CPU leaves an NMI that was on top of no other: the edge of one underneath, too, may need what was
    /// granted. What had come when it left the one before has been taken since: as this one, or
    /// as one in between. When this one was delivered is not known: the clock was read later, perhaps much
    /// later on a virtual CPU. Nothing that came can have been taken
    /// while `unsettled` edges wait for what is granted.
    ///
    /// One that left later came on top of the end of this one. It has said all, unless its clock was reset since.
    #[inline(always)]
    pub(crate) fn note_leave<'a>(
        &self,
        left: Timestamp,
        unsettled: Unsettled,
        limits: impl FnOnce() -> InTicks<'a>,
    ) {
        let before = Self::load(&self.last_leave);
        if left.is_before(before) && before.since(left) <= limits().cap() {
            return;
        }
        if unsettled == Unsettled::Nothing
            && !self.hold.holds()
            && Self::load(&self.last_open).is_before(before)
        {
            self.last_open.store(before.word(), Ordering::Relaxed);
        }
        self.last_leave.store(left.word(), Ordering::Relaxed);
    }

    /// The CPU is at its tick or about to idle: any edge that came before `now` has been taken. `now` was
    /// read before.
    ///
    /// An NMI on top may open later than `now`. Going back to `now` only lets a grant live until the next
    /// open point.
    pub(crate) fn note_open_point(
        &self,
        now: Timestamp,
        unsettled: Unsettled,
        limits: InTicks<'_>,
    ) {
        if unsettled == Unsettled::Nothing && !self.hold.holds() {
            self.last_open.store(now.word(), Ordering::Relaxed);
        }
        self.update_live_time(now, limits);
    }

    /// A send was taken before it finished, and somebody should [look](Self::update_hold) whether it has.
    #[inline(always)]
    pub(crate) fn waits_for_send(&self) -> bool {
        self.hold.is_set()
    }

    /// Before the CPU opens or leaves: `unfinished` are the sends to it whose ring is not known to be made. The clock
    /// is read after that look: one that has finished may have done so just before it.
    pub(crate) fn update_hold(
        &self,
        unfinished: impl FnOnce() -> usize,
        now: Timestamp,
        clock: impl FnOnce() -> Timestamp,
        limits: InTicks<'_>,
    ) {
        let was_live = self.is_live(now, limits);
        let update = self.hold.update(unfinished, now, limits);
        if was_live && update != HoldUpdate::HoldsNothing {
            self.extend_to(clock().after(limits.late()));
        }
    }

    /// A dispatch took requests, and `unfinished` sends have not rung as far as is known. Also where nothing is
    /// granted yet: what brought the CPU here may be claimed, and granted, later, by a poll.
    #[inline(always)]
    pub(crate) fn hold_for(&self, unfinished: usize, now: Timestamp) {
        self.hold.begin(unfinished, now);
    }

    /// An edge that nothing explains may be that of a send whose sender was stuck between request and
    /// ring.
    pub(crate) fn may_be_late_send(&self, now: Timestamp, limits: InTicks<'_>) -> bool {
        self.hold.may_be_late_send(now, limits)
    }

    fn update_live_time(&self, now: Timestamp, limits: InTicks<'_>) {
        if !self.is_live(now, limits) {
            self.live_time.ends(now);
        }
    }

    /// What is granted, for people. Any CPU may ask.
    pub(crate) fn snapshot(&self, now: Timestamp, limits: InTicks<'_>) -> Granted {
        if !self.is_live(now, limits) {
            return Granted { waits_for_send: self.hold.holds(), ..Granted::default() };
        }
        Granted {
            edges: self.credits.counts().by_kind(),
            left_ticks: Self::load(&self.deadline).since(now),
            waits_for_send: self.hold.holds(),
        }
    }

    /// The CPU comes back from being offline. Nothing that was granted before counts.
    pub(crate) fn reset(&self, now: Timestamp) {
        self.credits.reset();
        self.hold.reset();
        self.live_time.ends(now);
        self.last_open.store(now.word(), Ordering::Relaxed);
        self.last_leave.store(now.word(), Ordering::Relaxed);
        self.last_claim.store(0, Ordering::Relaxed);
    }
}
