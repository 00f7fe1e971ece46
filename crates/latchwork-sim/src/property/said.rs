// SPDX-License-Identifier: MIT OR Apache-2.0
//! N3, of the machine: a true unknown that repeats is said by somebody, within a time.
//!
//! An *occurrence* is an NMI, on any CPU, in which a source without status has rung and nothing was
//! consumed. One that comes [`REPORTED_AFTER_US`] or more after the first
//! that nobody has reported is reported by some CPU: in its own NMI, or, where its CPU defers it,
//! within the cap and [`DEFERRED_TICKS`] tick periods, whoever hangs. A report as a late send says
//! nothing of it: the kernel does not panic on that.

use std::hash::Hash;

use super::{Monitor, REPORTED_AFTER_US, REPORTS_APART_US};
use crate::{
    engine::{Fingerprint, Property, Violation},
    machine::{Bell, Ending, Fact, Hardware, Reported, Timing},
};

/// For how many tick periods beyond the cap a deferred edge waits.
const DEFERRED_TICKS: u64 = 3;
/// A clock reading may be later than the world's clock by so much, in microseconds.
const CLOCK_US: u64 = 10;

/// The monitor.
#[derive(Debug)]
pub struct Said {
    /// By CPU, for each NMI that is handled, the innermost last.
    dispatches: Vec<Vec<Dispatch>>,
    /// How long ago the first occurrence was that nobody has reported since.
    first_us: Option<u64>,
    /// How long ago a repetition was deferred.
    deferred_us: Option<u64>,
    /// Reports may be held back for that much longer.
    held_back_us: u64,
    settled_within_us: u64,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Dispatch {
    has_unknown: bool,
    repeats: bool,
}

impl Said {
    /// For that machine.
    pub fn new(hardware: &Hardware, timing: &Timing) -> Self {
        Self {
            dispatches: vec![Vec::new(); hardware.cpus],
            first_us: None,
            deferred_us: None,
            held_back_us: 0,
            settled_within_us: timing.cap_us + DEFERRED_TICKS * hardware.tick_period_us,
        }
    }

    fn is_no_occurrence(&mut self, cpu: usize) {
        if let Some(dispatch) = self.dispatches[cpu].last_mut() {
            dispatch.has_unknown = false;
        }
    }

    /// An NMI has ended. Says whether it is a repetition that stays hidden.
    fn ended(&mut self, cpu: usize, ending: Ending) -> bool {
        let Some(dispatch) = self.dispatches[cpu].pop() else { return false };
        if !dispatch.has_unknown || self.held_back_us != 0 || ending == Ending::TurnedAway {
            return false;
        }
        self.first_us.get_or_insert(0);
        if dispatch.repeats && ending == Ending::Deferred {
            self.deferred_us.get_or_insert(0);
            return false;
        }
        dispatch.repeats
    }

    fn passed(&mut self, by_us: u64) -> bool {
        self.held_back_us = self.held_back_us.saturating_sub(by_us);
        let most_us = self.settled_within_us.max(REPORTED_AFTER_US + CLOCK_US) + 1;
        for age_us in [&mut self.first_us, &mut self.deferred_us].into_iter().flatten() {
            // Beyond the limits, ages need not be told apart.
            *age_us = (*age_us + by_us).min(most_us);
        }
        self.deferred_us.is_some_and(|age_us| age_us > self.settled_within_us)
    }
}

impl Monitor for Said {
    fn note(&mut self, _: u64, fact: &Fact) -> Result<(), Violation> {
        let hidden = match *fact {
            Fact::Taken { cpu, edge, .. } => {
                let repeats =
                    self.first_us.is_some_and(|age_us| age_us >= REPORTED_AFTER_US + CLOCK_US);
                let has_unknown = edge.has(Bell::Button);
                self.dispatches[cpu].push(Dispatch { has_unknown, repeats });
                false
            }
            Fact::Consumed { cpu, .. } | Fact::Served { cpu, .. } => {
                self.is_no_occurrence(cpu);
                false
            }
            Fact::Report { cpu, reported, .. } if reported != Reported::LateSend => {
                (self.first_us, self.deferred_us) = (None, None);
                if reported == Reported::Absorbed {
                    self.held_back_us = REPORTS_APART_US;
                }
                self.is_no_occurrence(cpu);
                false
            }
            Fact::Ended { cpu, ending, .. } => self.ended(cpu, ending),
            Fact::Passed { by_us, .. } => self.passed(by_us),
            _ => false,
        };
        match hidden {
            true => Err(Violation::new(Property::N3, "a true unknown repeats, and nobody says so")),
            false => Ok(()),
        }
    }

    fn fold(&self, fingerprint: &mut Fingerprint) {
        self.dispatches.hash(fingerprint);
        (self.first_us, self.deferred_us, self.held_back_us).hash(fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::{ended, passed, report, taken, verdict};
    use super::*;

    fn judge(history: &[Fact]) -> Result<(), Property> {
        let hardware = Hardware { cpus: 1, ..Hardware::BARE };
        verdict(Said::new(&hardware, &Timing::SHORT), history)
            .map_err(|violation| violation.property)
    }

    fn occurs(serial: usize, ending: Ending) -> [Fact; 2] {
        [taken(serial, &[Bell::Button]), ended(serial, ending)]
    }

    #[test]
    fn a_repetition_is_said_as_what_it_is() {
        let begin = [&occurs(1, Ending::Absorbed)[..], &[passed(20_000)]].concat();
        let told = |as_what| {
            let [taken, ended] = occurs(2, Ending::Unknown);
            judge(&[&begin[..], &[taken, report(2, as_what), ended]].concat())
        };
        assert_eq!(told(Reported::Unknown), Ok(()));
        assert_eq!(told(Reported::Absorbed), Ok(()));
        assert_eq!(told(Reported::LateSend), Err(Property::N3));
        assert_eq!(judge(&[&begin[..], &occurs(2, Ending::Absorbed)].concat()), Err(Property::N3));
    }

    #[test]
    fn a_deferred_repetition_does_not_wait_for_ever() {
        let begin = [&occurs(1, Ending::Deferred)[..], &[passed(20_000)]].concat();
        let begin = [&begin[..], &occurs(2, Ending::Deferred)].concat();
        assert_eq!(judge(&[&begin[..], &[passed(13_000)]].concat()), Ok(()));
        assert_eq!(judge(&[&begin[..], &[passed(13_001)]].concat()), Err(Property::N3));
    }
}
