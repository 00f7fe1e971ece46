// SPDX-License-Identifier: MIT OR Apache-2.0
//! D: every queued item runs exactly once.

use std::{collections::BTreeMap, hash::Hash};

use super::Monitor;
use crate::{
    engine::{Fingerprint, Property, Violation},
    machine::Fact,
};

/// The monitor of D.
#[derive(Debug, Default)]
pub struct DeferredWork {
    items: BTreeMap<usize, Item>,
}

/// The runs of an item, as balances, so that what is settled leaves no trace.
#[derive(Clone, Copy, Debug, Default, Hash)]
struct Item {
    /// Runs that were promised, less those that have begun.
    runs_owed: i8,
    /// Queueings that have not returned yet: each may promise a run, which may have begun.
    queueing: i8,
}

impl Monitor for DeferredWork {
    fn note(&mut self, _: u64, fact: &Fact) -> Result<(), Violation> {
        let (number, change): (usize, fn(&mut Item)) = match *fact {
            Fact::QueueBegan(item) => (item, |item| item.queueing += 1),
            Fact::QueueEnded { item, anew: false } => (item, |item| item.queueing -= 1),
            Fact::QueueEnded { item, anew: true } => (item, |item| {
                item.queueing -= 1;
                item.runs_owed += 1;
            }),
            Fact::Ran(item) => (item, |item| item.runs_owed -= 1),
            _ => return Ok(()),
        };
        let item = self.items.entry(number).or_default();
        change(item);
        if item.runs_owed + item.queueing < 0 {
            let text = format!("item {number} runs more often than it was queued");
            return Err(Violation::new(Property::D, text));
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), Violation> {
        for (number, item) in &self.items {
            if item.runs_owed != 0 {
                let text = format!("item {number} was queued and never runs");
                return Err(Violation::new(Property::D, text));
            }
        }
        Ok(())
    }

    fn fold(&self, fingerprint: &mut Fingerprint) {
        self.items.hash(fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::verdict;
    use super::*;

    const BEGAN: Fact = Fact::QueueBegan(0);
    const ANEW: Fact = Fact::QueueEnded { item: 0, anew: true };
    const PENDING: Fact = Fact::QueueEnded { item: 0, anew: false };
    const RAN: Fact = Fact::Ran(0);

    #[test]
    fn a_run_for_each_time_it_was_queued_anew_no_less_and_no_more() {
        let good = [BEGAN, ANEW, BEGAN, PENDING, RAN];
        assert_eq!(verdict(DeferredWork::default(), &good), Ok(()));
        assert!(verdict(DeferredWork::default(), &[BEGAN, ANEW]).is_err());
        assert!(verdict(DeferredWork::default(), &[BEGAN, ANEW, RAN, RAN]).is_err());
        assert!(verdict(DeferredWork::default(), &[RAN]).is_err());
    }

    #[test]
    fn it_may_run_before_its_queueing_has_returned() {
        assert_eq!(verdict(DeferredWork::default(), &[BEGAN, RAN, ANEW]), Ok(()));
        assert!(verdict(DeferredWork::default(), &[BEGAN, RAN, PENDING]).is_err());
    }
}
