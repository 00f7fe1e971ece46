// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts what the policy does, by what really happens.

use std::{cell::RefCell, rc::Rc};

use crate::{
    engine::{Fingerprint, Violation},
    machine::{Bell, Condition, Fact, Witness},
};

/// What was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// How often a second the policy read the machine-wide sources.
    pub polls_per_s: f64,
    /// How many NMIs a second the policy sent that the load had not asked for.
    pub extra_nmis_per_s: f64,
    /// The longest time from an external event to its claim, in ticks. `None` if one was never
    /// claimed.
    pub worst_recovery_ticks: Option<f64>,
    /// The longest time from a true unknown to the first report of it or of one of its repetitions,
    /// in microseconds. `None` if there was no report at all.
    pub worst_hidden_us: Option<u64>,
}

/// What was counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Rings of sends. The load asks for none.
    pub(super) extra_nmis: u64,
    pub(super) external_since_us: Option<u64>,
    pub(super) longest_recovery_us: u64,
    pub(super) unknown_since_us: Option<u64>,
    pub(super) longest_hidden_us: u64,
    pub(super) reports: u64,
}

/// A witness that counts.
pub(super) struct Meter(pub(super) Rc<RefCell<Counts>>);

impl Counts {
    fn note(&mut self, at_us: u64, fact: &Fact) {
        match *fact {
            Fact::Set(Condition::External(_)) => self.external_since_us = Some(at_us),
            Fact::Consumed { condition: Condition::External(_), .. } => {
                if let Some(since_us) = self.external_since_us.take() {
                    self.longest_recovery_us = self.longest_recovery_us.max(at_us - since_us);
                }
            }
            Fact::SendRang { .. } => self.extra_nmis += 1,
            Fact::Taken { edge, .. } if edge.has(Bell::Button) => {
                self.unknown_since_us.get_or_insert(at_us);
            }
            Fact::Report { .. } => self.reported(at_us),
            _ => {}
        }
    }

    fn reported(&mut self, at_us: u64) {
        if let Some(since_us) = self.unknown_since_us.take() {
            self.longest_hidden_us = self.longest_hidden_us.max(at_us - since_us);
            self.reports += 1;
        }
    }
}

impl Witness for Meter {
    fn note(&mut self, at_us: u64, fact: &Fact) {
        self.0.borrow_mut().note(at_us, fact);
    }

    fn violation(&self) -> Option<Violation> {
        None
    }

    fn finish(&self) -> Option<Violation> {
        None
    }

    fn fold(&self, _: &mut Fingerprint) {}
}
