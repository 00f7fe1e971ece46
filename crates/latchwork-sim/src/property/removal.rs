// SPDX-License-Identifier: MIT OR Apache-2.0
//! Q: nothing runs after its removal, and nothing is still running when the removal returns.

use std::{collections::BTreeMap, hash::Hash};

use super::Monitor;
use crate::{
    engine::{Fingerprint, Property, Violation},
    machine::{Bell, Fact},
};

/// The monitor of Q.
#[derive(Debug, Default)]
pub struct Removal {
    /// By the handler's doorbell.
    handlers: BTreeMap<Bell, Handler>,
}

#[derive(Clone, Copy, Debug, Default, Hash)]
struct Handler {
    removed: bool,
    calls_in_progress: u8,
}

impl Monitor for Removal {
    fn note(&mut self, _: u64, fact: &Fact) -> Result<(), Violation> {
        let broken = match *fact {
            Fact::Attended(bell) => {
                self.handlers.entry(bell).or_default().removed = false;
                None
            }
            Fact::Called(bell) => {
                let handler = self.handlers.entry(bell).or_default();
                handler.calls_in_progress += 1;
                handler.removed.then_some(("is called after its removal", bell))
            }
            Fact::Returned(bell) => {
                self.handlers.entry(bell).or_default().calls_in_progress -= 1;
                None
            }
            Fact::Removed(bell) => {
                let handler = self.handlers.entry(bell).or_default();
                handler.removed = true;
                let runs = handler.calls_in_progress != 0;
                runs.then_some(("still runs when its removal has returned", bell))
            }
            _ => None,
        };
        match broken {
            Some((what, bell)) => {
                let text = format!("the handler of {bell} {what}");
                Err(Violation::new(Property::Q, text))
            }
            None => Ok(()),
        }
    }

    fn fold(&self, fingerprint: &mut Fingerprint) {
        self.handlers.hash(fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::verdict;
    use super::*;

    const BELL: Bell = Bell::External(0);

    #[test]
    fn a_call_is_over_before_the_removal_returns() {
        let good = [Fact::Called(BELL), Fact::Returned(BELL), Fact::Removed(BELL)];
        assert_eq!(verdict(Removal::default(), &good), Ok(()));
        assert!(verdict(Removal::default(), &[Fact::Called(BELL), Fact::Removed(BELL)]).is_err());
    }

    #[test]
    fn no_call_comes_after_until_it_is_registered_again() {
        let late = [Fact::Removed(BELL), Fact::Called(BELL)];
        assert!(verdict(Removal::default(), &late).is_err());
        let again = [Fact::Removed(BELL), Fact::Attended(BELL), Fact::Called(BELL)];
        assert_eq!(verdict(Removal::default(), &again), Ok(()));
    }
}
