// SPDX-License-Identifier: MIT OR Apache-2.0
//! One grant: rings of one kind that may still come to this CPU, and until when.

use crate::{
    contract::GrantKind,
    primitive::{Ordering, OwnWord, const_unless_loom},
    request::Phase,
    time::{OwnTime, Timestamp},
};

/// Until when a ring that may still come has reached its CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Until then.
    By(Timestamp),
    /// It is that of a send that this CPU took at `since`, before its sender had rung. It is due
    /// once the sends of that phase have finished.
    AfterSends { phase: Phase, since: Timestamp },
    /// This CPU claims the condition outside an NMI, and has not finished yet.
    AfterOwnClaim,
    /// Some CPU claims the condition outside an NMI, and has not finished yet.
    AfterClaims,
    /// Its sender did not finish in time. The grant explains no edge, but an edge that nothing else
    /// explains may be that send's.
    LateSend(Phase),
    /// As `LateSend`, and the sender has finished since.
    LateSendBy(Timestamp),
}

impl Due {
    /// Whether the grant explains an edge.
    pub(crate) const fn explains(self) -> bool {
        !matches!(self, Self::LateSend(_) | Self::LateSendBy(_))
    }

    /// Whether the ring has a deadline.
    pub(super) const fn is_known(self) -> bool {
        matches!(self, Self::By(_) | Self::LateSendBy(_))
    }

    /// Whether grants with these dues may be made one with the later of the two.
    pub(super) fn is_like(self, other: Self) -> bool {
        match (self, other) {
            (Self::By(_), Self::By(_)) | (Self::LateSendBy(_), Self::LateSendBy(_)) => true,
            (Self::AfterSends { phase, .. }, Self::AfterSends { phase: of_other, .. }) => {
                phase == of_other
            }
            _ => self == other,
        }
    }

    /// The later of two. What has no deadline yet is due later than what has one.
    pub(super) fn later_of(self, other: Self) -> Self {
        match (self, other) {
            (Self::By(this), Self::By(that)) => Self::By(this.later_of(that)),
            (Self::LateSendBy(this), Self::LateSendBy(that)) => {
                Self::LateSendBy(this.later_of(that))
            }
            (Self::AfterSends { phase, since }, Self::AfterSends { phase: other, since: that })
                if phase == other =>
            {
                Self::AfterSends { phase, since: since.later_of(that) }
            }
            (Self::By(_) | Self::LateSendBy(_), _) => other,
            _ => self,
        }
    }

    /// Whether this is due before `other`.
    pub(super) fn is_before(self, other: Self) -> bool {
        match (self, other) {
            (Self::By(this), Self::By(that)) => this.is_before(that),
            (Self::By(_), _) => true,
            _ => false,
        }
    }
}

/// The grant of an entry of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) kind: GrantKind,
    pub(crate) rings: usize,
    pub(crate) due: Due,
}

/// A place for a grant, in two words: what it is, and a moment of its due.
#[derive(Debug)]
pub(super) struct Entry {
    /// 0 if it is free. Else the state, the kind and the phase, and above them the rings.
    what: OwnWord,
    moment: OwnTime,
}

const STATE_BITS: u32 = 3;
const KIND_BITS: u32 = 2;
const PHASE_SHIFT: u32 = STATE_BITS + KIND_BITS;
const RINGS_SHIFT: u32 = PHASE_SHIFT + 1;
/// More rings than these at a time are counted as so many.
pub(crate) const MOST_RINGS: usize = usize::MAX >> RINGS_SHIFT;

const _: () = assert!(GrantKind::ALL.len() <= 1 << KIND_BITS);

impl Entry {
    const_unless_loom! {
        pub(super) fn free() -> Self {
            Self { what: OwnWord::new(0), moment: OwnTime::new() }
        }
    }

    pub(super) fn get(&self) -> Option<Grant> {
        let what = self.what.load(Ordering::Relaxed);
        let rings = what >> RINGS_SHIFT;
        if rings == 0 {
            return None;
        }
        let phase = Phase::from_bit(what >> PHASE_SHIFT & 1);
        let moment = self.moment.get();
        let due = match what & ((1 << STATE_BITS) - 1) {
            0 => Due::By(moment),
            1 => Due::AfterSends { phase, since: moment },
            2 => Due::AfterOwnClaim,
            3 => Due::AfterClaims,
            4 => Due::LateSend(phase),
            _ => Due::LateSendBy(moment),
        };
        let kind = what >> STATE_BITS & ((1 << KIND_BITS) - 1);
        let kind = GrantKind::ALL.get(kind).copied().unwrap_or(GrantKind::Collapsed);
        Some(Grant { kind, rings, due })
    }

    pub(super) fn set(&self, grant: Grant) {
        let (state, phase, moment) = match grant.due {
            Due::By(moment) => (0, None, Some(moment)),
            Due::AfterSends { phase, since } => (1, Some(phase), Some(since)),
            Due::AfterOwnClaim => (2, None, None),
            Due::AfterClaims => (3, None, None),
            Due::LateSend(phase) => (4, Some(phase), None),
            Due::LateSendBy(moment) => (5, None, Some(moment)),
        };
        if let Some(moment) = moment {
            self.moment.set(moment);
        }
        let phase = phase.map_or(0, Phase::bit) << PHASE_SHIFT;
        let kind = (grant.kind as usize) << STATE_BITS;
        let rings = grant.rings.min(MOST_RINGS) << RINGS_SHIFT;
        self.what.store(rings | phase | kind | state, Ordering::Relaxed);
    }

    pub(super) fn clear(&self) {
        self.what.store(0, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_entry_gives_back_the_grant_that_it_was_given() {
        let entry = Entry::free();
        assert_eq!(entry.get(), None);
        let moment = Timestamp::from_ticks(u64::MAX - 3);
        let phases = [0, 1].map(Phase::from_bit);
        let with_phase = phases
            .into_iter()
            .flat_map(|phase| [Due::AfterSends { phase, since: moment }, Due::LateSend(phase)]);
        let others =
            [Due::By(moment), Due::AfterOwnClaim, Due::AfterClaims, Due::LateSendBy(moment)];
        for due in with_phase.chain(others) {
            for kind in GrantKind::ALL {
                for rings in [1, 64, MOST_RINGS] {
                    let grant = Grant { kind, rings, due };
                    entry.set(grant);
                    assert_eq!(entry.get(), Some(grant));
                }
            }
        }
        entry.clear();
        assert_eq!(entry.get(), None);
    }
}
