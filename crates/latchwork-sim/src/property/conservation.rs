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
    machine::{Bell, Condition, CpuSet, Fact},
};

/// The monitor of C.
#[derive(Debug, Default)]
pub struct Conservation {
    set: BTreeSet<Condition>,
    attended: BTreeSet<Bell>,
    /// By receiving CPU.
    requests: BTreeMap<usize, Requests>,
    hung: CpuSet,
}

/// Kept as balances, so that what is settled leaves no trace.
#[derive(Clone, Copy, Debug, Default, Hash)]
struct Requests {
    /// Accepted sends, less those that were served or dropped.
    owed: i16,
    /// Sends that have not returned yet: each may count, and the CPU may have served it already.
    under_way: i16,
    /// Sends that did not ring: each may be served all the same.
    left: i16,
    /// Requests that were dropped while so many sends were under way, of which each may have been
    /// one, or a policy's own.
    perhaps_dropped: i16,
    /// Sends that were accepted, and perhaps dropped.
    uncertain: i16,
}

impl Conservation {
    /// For an execution in which nothing has happened.
    pub fn new() -> Self {
        Self::default()
    }

    fn settle(&mut self, cpu: usize, change: impl FnOnce(&mut Requests)) -> Result<(), Violation> {
        let requests = self.requests.entry(cpu).or_default();
        change(requests);
        if requests.owed + requests.under_way + requests.left + requests.uncertain < 0 {
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
            Fact::SendLeft { to } => self.settle(to, |requests| requests.left += 1),
            Fact::Hung(cpu) => {
                self.hung.add(cpu);
                self.set
                    .retain(|it| !matches!(it, Condition::Counter { cpu: of, .. } if *of == cpu));
                Ok(())
            }
            Fact::SendEnded { to, accepted } => self.settle(to, |requests| {
                requests.under_way -= 1;
                if accepted && requests.perhaps_dropped > 0 {
                    requests.perhaps_dropped -= 1;
                    requests.uncertain += 1;
                } else {
                    requests.owed += i16::from(accepted);
                }
                requests.perhaps_dropped = requests.perhaps_dropped.min(requests.under_way);
            }),
            Fact::Served { cpu, asked, .. } => {
                self.settle(cpu, |requests| requests.owed -= asked as i16)
            }
            // Some of these sends may have been the policy's own.
            Fact::Dropped { cpu, sends } => self.settle(cpu, |requests| {
                let accepted = requests.owed.clamp(0, sends as i16);
                requests.owed -= accepted;
                let perhaps = requests.perhaps_dropped + sends as i16 - accepted;
                requests.perhaps_dropped = perhaps.min(requests.under_way);
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
        // What is still under way is the send of a CPU that hangs, and may have been served.
        let is_open = |cpu: usize, it: &Requests| {
            let at_least = -it.left - it.uncertain - it.under_way;
            !self.hung.has(cpu) && !(at_least..=0).contains(&it.owed)
        };
        match self.requests.iter().find(|(cpu, requests)| is_open(**cpu, requests)) {
            Some((cpu, _)) => Err(broken(format!("CPU {cpu} never serves a send"))),
            None => Ok(()),
        }
    }

    fn fold(&self, fingerprint: &mut Fingerprint) {
        self.set.hash(fingerprint);
        self.attended.hash(fingerprint);
        self.requests.hash(fingerprint);
        self.hung.hash(fingerprint);
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

    fn refused_after_all() -> Fact {
        Fact::SendEnded { to: 0, accepted: false }
    }

    #[test]
    fn every_accepted_send_is_served_or_dropped_once() {
        assert_eq!(judge(&[BEGAN, ACCEPTED, SERVED]), Ok(()));
        assert_eq!(judge(&[BEGAN, SERVED, ACCEPTED]), Ok(()));
        let dropped = Fact::Dropped { cpu: 0, sends: 1 };
        assert_eq!(judge(&[BEGAN, ACCEPTED, dropped.clone()]), Ok(()));
        assert_eq!(judge(&[BEGAN, dropped.clone(), ACCEPTED]), Ok(()));
        let refused = Fact::SendEnded { to: 0, accepted: false };
        assert_eq!(judge(&[BEGAN, refused]), Ok(()));
        assert_eq!(judge(&[BEGAN, ACCEPTED]), Err(Property::C));
        assert_eq!(judge(&[BEGAN, ACCEPTED, SERVED, SERVED]), Err(Property::C));
        let own_or_it = [BEGAN, dropped, Fact::SendEnded { to: 0, accepted: false }];
        assert_eq!(judge(&own_or_it), Ok(()), "what was dropped was a policy's own");
        let left = [BEGAN, Fact::SendLeft { to: 0 }, refused_after_all()];
        assert_eq!(judge(&left), Ok(()));
        assert_eq!(judge(&[&left[..], &[SERVED]].concat()), Ok(()), "it is in the mailbox");
        assert_eq!(judge(&[&left[..], &[SERVED, SERVED]].concat()), Err(Property::C));
        assert_eq!(judge(&[BEGAN, ACCEPTED, Fact::Hung(0)]), Ok(()), "nobody is there any more");
        let own = Fact::Served { cpu: 0, sends: 1, asked: 0 };
        assert_eq!(judge(&[own]), Ok(()), "a policy's own sends are its own business");
    }
}
