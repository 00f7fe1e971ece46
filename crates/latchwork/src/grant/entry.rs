// SPDX-License-Identifier: MIT OR Apache-2.0
//! One grant: rings of one kind that may still come to this CPU, and until when.

use crate::{
    contract::GrantKind,
    primitive::{Ordering, OwnWord, const_unless_loom},
    send_wait::SendWait,
    time::{OwnTime, Timestamp},
};

/// Until when a ring that may still come has reached its CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Until then.
    By(Timestamp),
    /// It has no deadline before all has finished that was under way when `wait` began: a send that
    /// this CPU took before its sender had rung, or a claim outside an NMI. One that this CPU has
    /// `taken` then is written off when it takes too long; a claim is not.
    After { wait: SendWait, taken: Option<Timestamp> },
    /// Its sender did not finish in time. The grant explains no edge, but an edge that nothing else
    /// explains may be that send's.
    LateSend(SendWait),
    /// As `LateSend`, and the sender has finished since.
    LateSendBy(Timestamp),
}

impl Due {
    /// Whether the grant explains an edge.
    pub(crate) const fn explains(self) -> bool {
        matches!(self, Self::By(_) | Self::After { .. })
    }

    /// Whether the ring has a deadline.
    pub(super) const fn is_known(self) -> bool {
        matches!(self, Self::By(_) | Self::LateSendBy(_))
    }

    /// For what it waits.
    pub(super) const fn waits_for(self) -> Option<SendWait> {
        match self {
            Self::After { wait, .. } | Self::LateSend(wait) => Some(wait),
            Self::By(_) | Self::LateSendBy(_) => None,
        }
    }

    /// Whether grants with these dues may be made one with the later of the two.
    pub(super) fn is_like(self, other: Self) -> bool {
        match (self, other) {
            (Self::By(_), Self::By(_))
            | (Self::LateSend(_), Self::LateSend(_))
            | (Self::LateSendBy(_), Self::LateSendBy(_)) => true,
            (Self::After { taken, .. }, Self::After { taken: other, .. }) => {
                taken.is_some() == other.is_some()
            }
            _ => false,
        }
    }

    /// The later of two. What has no deadline yet is due later than what has one. A grant that
    /// stands for two is written off as the one that is due later would be, and counts from then.
    pub(super) fn later_of(self, other: Self) -> Self {
        match (self, other) {
            (Self::LateSend(this), Self::LateSend(that)) => Self::LateSend(this.later_of(that)),
            (Self::LateSendBy(this), Self::LateSendBy(that)) => {
                Self::LateSendBy(this.later_of(that))
            }
            _ if self.is_before(other) => other,
            _ => self,
        }
    }

    /// Until when there is an excuse for a late send, which this is: its edge may have come, and
    /// have taken a ring in its place that is due as `taken` says.
    pub(super) fn or_in_place_of(self, taken: Self) -> Self {
        match (self, taken) {
            (Self::LateSend(wait), Self::After { wait: other, .. }) => {
                Self::LateSend(wait.later_of(other))
            }
            (Self::LateSendBy(_), Self::After { wait, .. }) => Self::LateSend(wait),
            (Self::LateSendBy(deadline), Self::By(other)) => {
                Self::LateSendBy(deadline.later_of(other))
            }
            _ => self,
        }
    }

    /// Whether this is due before `other`. Of two that wait for the same, the one is that was taken
    /// first; a claim is due no earlier than a send.
    pub(super) fn is_before(self, other: Self) -> bool {
        match (self, other) {
            (Self::By(this), Self::By(that)) => this.is_before(that),
            (Self::By(_), Self::After { .. }) => true,
            (Self::After { wait, taken }, Self::After { wait: other, taken: other_taken }) => {
                match (taken, other_taken) {
                    _ if wait != other => wait.is_before(other),
                    (Some(taken), Some(other)) => taken.is_before(other),
                    (taken, other) => taken.is_some() && other.is_none(),
                }
            }
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

/// How many rings edges took, by their kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken([usize; GrantKind::ALL.len()]);

impl Taken {
    pub(super) fn add(&mut self, kind: GrantKind, rings: usize) {
        if let Some(taken) = self.0.get_mut(kind as usize) {
            *taken = taken.saturating_add(rings);
        }
    }

    pub(crate) fn all(self) -> usize {
        self.0.iter().fold(0, |sum: usize, rings| sum.saturating_add(*rings))
    }

    /// The kinds of which there are any, and how many.
    pub(crate) fn by_kind(self) -> impl Iterator<Item = (GrantKind, usize)> {
        GrantKind::ALL.into_iter().zip(self.0).filter(|(_, rings)| *rings != 0)
    }
}

/// A place for a grant: what it is, a moment of its due, and for which sends it waits.
#[derive(Debug)]
pub(super) struct Entry {
    /// 0 if it is free. Else the state and the kind, and above them the rings.
    what: OwnWord,
    moment: OwnTime,
    wait: OwnWord,
}

const STATE_BITS: u32 = 3;
const KIND_BITS: u32 = 2;
const RINGS_SHIFT: u32 = STATE_BITS + KIND_BITS;
/// More rings than these at a time are counted as so many.
pub(crate) const MOST_RINGS: usize = usize::MAX >> RINGS_SHIFT;

const _: () = assert!(GrantKind::ALL.len() <= 1 << KIND_BITS);

impl Entry {
    const_unless_loom! {
        pub(super) fn free() -> Self {
            Self { what: OwnWord::new(0), moment: OwnTime::new(), wait: OwnWord::new(0) }
        }
    }

    pub(super) fn get(&self) -> Option<Grant> {
        let what = self.what.load(Ordering::Relaxed);
        let rings = what >> RINGS_SHIFT;
        if rings == 0 {
            return None;
        }
        let wait = || SendWait(self.wait.load(Ordering::Relaxed));
        let due = match what & ((1 << STATE_BITS) - 1) {
            0 => Due::By(self.moment.get()),
            1 => Due::After { wait: wait(), taken: Some(self.moment.get()) },
            2 => Due::After { wait: wait(), taken: None },
            3 => Due::LateSend(wait()),
            _ => Due::LateSendBy(self.moment.get()),
        };
        let kind = what >> STATE_BITS & ((1 << KIND_BITS) - 1);
        let kind = GrantKind::ALL.get(kind).copied().unwrap_or(GrantKind::Collapsed);
        Some(Grant { kind, rings, due })
    }

    pub(super) fn set(&self, grant: Grant) {
        let state = match grant.due {
            Due::By(_) => 0,
            Due::After { taken: Some(_), .. } => 1,
            Due::After { taken: None, .. } => 2,
            Due::LateSend(_) => 3,
            Due::LateSendBy(_) => 4,
        };
        if let Due::By(moment) | Due::After { taken: Some(moment), .. } | Due::LateSendBy(moment) =
            grant.due
        {
            self.moment.set(moment);
        }
        if let Due::After { wait, .. } | Due::LateSend(wait) = grant.due {
            self.wait.store(wait.0, Ordering::Relaxed);
        }
        let kind = (grant.kind as usize) << STATE_BITS;
        let rings = grant.rings.min(MOST_RINGS) << RINGS_SHIFT;
        self.what.store(rings | kind | state, Ordering::Relaxed);
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
        let wait = SendWait(usize::MAX - 1);
        for due in [
            Due::By(moment),
            Due::After { wait, taken: Some(moment) },
            Due::After { wait, taken: None },
            Due::LateSend(wait),
            Due::LateSendBy(moment),
        ] {
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
