// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a send that was taken before it rang does to a CPU's grants.
//!
//! Rule: while it is unfinished nothing ends ([`hold`](super::hold)); when it has finished, what is
//! granted lasts until its ring is due.

use super::{hold::HoldUpdate, pool::Grants};
use crate::time::{InTicks, Timestamp};

impl Grants {
    /// Holds the grants: a dispatch took requests, and `unfinished` sends have not rung as far as
    /// is known. It does so also where nothing is granted yet: a poll may claim, and grant, later
    /// what brought the CPU here.
    #[inline(always)]
    pub(crate) fn hold_for(&self, unfinished: usize, now: Timestamp) {
        self.hold.begin(unfinished, now);
    }

    /// Whether this CPU took a send before it finished, and should [look](Self::update_hold)
    /// whether it has.
    #[inline(always)]
    pub(crate) fn waits_for_send(&self) -> bool {
        self.hold.is_set()
    }

    /// Before the CPU opens or leaves: `unfinished` are the sends to it whose ring is not known to
    /// be made. The clock is read after that look: one that has finished may have done so just
    /// before it.
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
            self.deadline.extend_to(clock().after(limits.late()));
        }
    }

    /// Whether an edge that nothing explains may be that of a send whose sender was stuck between
    /// request and ring.
    pub(crate) fn may_be_late_send(&self, now: Timestamp, limits: InTicks<'_>) -> bool {
        self.hold.may_be_late_send(now, limits)
    }
}
