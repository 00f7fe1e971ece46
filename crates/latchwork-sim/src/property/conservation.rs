// SPDX-License-Identifier: MIT OR Apache-2.0
//! C: each condition that was set is claimed or still set, and in the end each CPU has consumed
//! what it alone can consume. Each accepted send is served or dropped once.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::Hash,
};

use super::Monitor;
use crate::{
    engine::{Fingerprint, Property, Violation},
    machine::{Bell, Condition, Fact},
};

/// The monitor of C.
#[derive(Debug, Default)]
pub struct Conservation {
    set: BTreeSet<Condition>,
    attended: BTreeSet<Bell>,
    /// By receiving CPU.
    requests: BTreeMap<usize, Requests>,
}

/// Kept as balances, so that what is settled leaves no trace.
#[derive(Clone, Copy, Debug, Default, Hash)]
struct Requests {
    /// Accepted sends, less those that were served or dropped.
    owed: i16,
    /// Sends that have not returned yet: each may count, and the CPU may have served it already.
    under_way: i16,
}

impl Conservation {
    /// For an execution in which nothing has happened.
    pub fn new() -> Self {
        Self::default()
    }

    fn settle(&mut self, cpu: usize, change: impl FnOnce(&mut Requests)) -> Result<(), Violation> {
        let requests = self.requests.entry(cpu).or_default();
        change(requests);
        if requests.owed + requests.under_way < 0 {
            return Err(broken(format!("CPU {cpu} serves more sends than there were")));
        }
        Ok(())
    }
}

fn broken(text: String) -> Violation {
    Violation::new(Property::C, text)
}

impl Monitor for Conservation {
    fn note(&mut self, _: u64, fact: &Fact) -> Result<(), Violation> {
        match *fact {
            Fact::Set(condition) if !self.set.insert(condition) => {
                Err(broken(format!("{condition} is set twice")))
            }
            Fact::Consumed { condition, cpu } if !self.set.remove(&condition) => {
                Err(broken(format!("CPU {cpu} consumes {condition}, which is not set")))
            }
            Fact::Attended(bell) => {
                self.attended.insert(bell);
                Ok(())
            }
            Fact::Leaving(bell) => {
                self.attended.remove(&bell);
                Ok(())
            }
            Fact::SendBegan { to } => self.settle(to, |requests| requests.under_way += 1),
            Fact::SendEnded { to, accepted } => self.settle(to, |requests| {
                requests.under_way -= 1;
                requests.owed += i16::from(accepted);
            }),
            Fact::Served { cpu, asked, .. } => {
                self.settle(cpu, |requests| requests.owed -= asked as i16)
            }
            // Some of these sends may have been the policy's own.
            Fact::Dropped { cpu, sends } => self.settle(cpu, |requests| {
                let most = (requests.owed + requests.under_way).max(0);
                requests.owed -= most.min(sends as i16);
            }),
            _ => Ok(()),
        }
    }

    fn finish(&self) -> Result<(), Violation> {
        let left = self.set.iter().find(|condition| {
            !condition.is_machine_wide() && self.attended.contains(&condition.bell())
        });
        if let Some(condition) = left {
            return Err(broken(format!("{condition} stays set, and nobody looks any more")));
        }
        match self.requests.iter().find(|(_, requests)| requests.owed != 0) {
            Some((cpu, _)) => Err(broken(format!("CPU {cpu} never serves a send"))),
            None => Ok(()),
        }
    }

    fn fold(&self, fingerprint: &mut Fingerprint) {
        self.set.hash(fingerprint);
        self.attended.hash(fingerprint);
        self.requests.hash(fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::verdict;
    use super::*;

    const OVERFLOW: Condition = Condition::Counter { cpu: 0, bit: 1 };
    const BEGAN: Fact = Fact::SendBegan { to: 0 };
    const ACCEPTED: Fact = Fact::SendEnded { to: 0, accepted: true };
    const SERVED: Fact = Fact::Served { cpu: 0, sends: 1, asked: 1 };

    fn judge(history: &[Fact]) -> Result<(), Property> {
        verdict(Conservation::new(), history).map_err(|violation| violation.property)
    }

    #[test]
    fn what_is_set_is_consumed_once() {
        let consumed = Fact::Consumed { condition: OVERFLOW, cpu: 0 };
        let attended = Fact::Attended(Bell::Lvt);
        assert_eq!(judge(&[attended.clone(), Fact::Set(OVERFLOW), consumed.clone()]), Ok(()));
        assert_eq!(judge(&[attended, Fact::Set(OVERFLOW)]), Err(Property::C));
        assert_eq!(judge(&[Fact::Set(OVERFLOW)]), Ok(()), "nobody's business");
        let twice = [Fact::Set(OVERFLOW), consumed.clone(), consumed];
        assert_eq!(judge(&twice), Err(Property::C));
    }

    #[test]
    fn every_accepted_send_is_served_or_dropped_once() {
        assert_eq!(judge(&[BEGAN, ACCEPTED, SERVED]), Ok(()));
        assert_eq!(judge(&[BEGAN, SERVED, ACCEPTED]), Ok(()));
        let dropped = Fact::Dropped { cpu: 0, sends: 1 };
        assert_eq!(judge(&[BEGAN, ACCEPTED, dropped]), Ok(()));
        let refused = Fact::SendEnded { to: 0, accepted: false };
        assert_eq!(judge(&[BEGAN, refused]), Ok(()));
        assert_eq!(judge(&[BEGAN, ACCEPTED]), Err(Property::C));
        assert_eq!(judge(&[BEGAN, ACCEPTED, SERVED, SERVED]), Err(Property::C));
        let own = Fact::Served { cpu: 0, sends: 1, asked: 0 };
        assert_eq!(judge(&[own]), Ok(()), "a policy's own sends are its own business");
    }
}
