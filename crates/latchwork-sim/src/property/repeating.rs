// SPDX-License-Identifier: MIT OR Apache-2.0
//! N3: a repeating true unknown is reported, under any load of claims.
//!
//! An *occurrence* is an NMI in which a source without status has rung and in which no handler
//! consumed anything: no software can know of one that collapsed into a claimed edge. The library
//! may absorb the first occurrence. It reports one that comes [`REPORTED_AFTER_US`] or more after
//! the first, as unknown or as an edge absorbed after suspiciously long absorbing, unless it has
//! reported an occurrence before. Where the edge is deferred, the CPU settles it within
//! [`SETTLED_WITHIN_US`], and later only for a [stuck poll](super::stuck_poll).

use std::hash::Hash;

use super::{
    Monitor,
    stuck_poll::{StuckPolls, Wait},
};
use crate::{
    engine::{Fingerprint, Property, Violation},
    machine::{Bell, Ending, Fact, Reported, Timing},
};

/// After how long the library reports a repetition, in microseconds: it reports an absorbed edge if
/// the grant has been live without a gap for longer.
pub const REPORTED_AFTER_US: u64 = 10_000;
/// How much later than the world's clock a reading may be, in microseconds: each reading differs
/// from the one before.
const CLOCK_US: u64 = 10;
/// How long a deferred edge may wait until it is settled, in microseconds: a debt waits for one
/// tick period, for the next tick, and for one more if another CPU polls just then.
pub const SETTLED_WITHIN_US: u64 = 3_000;

/// For how long after a report the library may hold back others, in microseconds. It counts what
/// they would have said.
pub const REPORTS_APART_US: u64 = 1_000_000;

/// The monitor of N3.
#[derive(Debug)]
pub struct Repeating {
    cpus: Vec<Cpu>,
    polls: StuckPolls,
}

#[derive(Clone, Debug, Default, Hash)]
struct Cpu {
    /// One for each NMI in progress, the innermost last.
    dispatches: Vec<Dispatch>,
    /// How long ago the first occurrence was, if none has been reported since.
    first_us: Option<u64>,
    /// For how long a repetition has been deferred.
    deferred: Option<Wait>,
    /// For how much longer the library may hold back reports.
    held_back_us: u64,
    /// How long it has existed.
    age_us: u64,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Dispatch {
    has_unknown: bool,
    consumed: bool,
    /// Whether the first occurrence was long ago when the CPU took it.
    repeats: bool,
}

impl Repeating {
    /// A monitor for `cpus` CPUs.
    pub fn new(cpus: usize, timing: &Timing) -> Self {
        Self { cpus: vec![Cpu::default(); cpus], polls: StuckPolls::new(cpus, timing) }
    }
}

impl Cpu {
    fn consumed(&mut self) {
        if let Some(dispatch) = self.dispatches.last_mut() {
            dispatch.consumed = true;
        }
    }

    /// An NMI has ended. Returns whether it is a repetition that stays hidden.
    fn ended(&mut self, ending: Ending) -> bool {
        let dispatch = self.dispatches.pop();
        let occurs = dispatch.is_some_and(|it| it.has_unknown && !it.consumed);
        let may_be_held_back = matches!(ending, Ending::Absorbed | Ending::Deferred);
        let is_known = may_be_held_back && self.held_back_us != 0;
        if !occurs || is_known || ending == Ending::Unknown || ending == Ending::TurnedAway {
            return false;
        }
        self.first_us.get_or_insert(0);
        let repeats = dispatch.is_some_and(|it| it.repeats);
        if repeats && ending == Ending::Deferred {
            self.deferred.get_or_insert_default();
            return false;
        }
        repeats
    }

    /// Whether the absorbing cannot be suspiciously long yet, or the library has just reported
    /// that.
    fn is_too_soon(&self) -> bool {
        self.age_us + CLOCK_US < REPORTED_AFTER_US || self.held_back_us > CLOCK_US
    }

    fn passed(&mut self, by_us: u64, stuck_us: u64) -> bool {
        self.held_back_us = self.held_back_us.saturating_sub(by_us);
        self.age_us = (self.age_us + by_us).min(REPORTED_AFTER_US);
        // Beyond the limit, ages need not differ.
        let age = |us: u64| (us + by_us).min(REPORTED_AFTER_US + CLOCK_US);
        self.first_us = self.first_us.map(age);
        self.deferred.as_mut().is_some_and(|wait| {
            wait.passed(by_us, true, stuck_us);
            wait.us > SETTLED_WITHIN_US
        })
    }
}

impl Monitor for Repeating {
    fn note(&mut self, _: u64, fact: &Fact) -> Result<(), Violation> {
        self.polls.note(fact);
        let hidden = match *fact {
            Fact::Taken { cpu, edge, .. } => {
                let has_unknown = edge.has(Bell::Button);
                let cpu = &mut self.cpus[cpu];
                let repeats =
                    cpu.first_us.is_some_and(|age_us| age_us >= REPORTED_AFTER_US + CLOCK_US);
                cpu.dispatches.push(Dispatch { has_unknown, consumed: false, repeats });
                None
            }
            Fact::Consumed { cpu, .. } | Fact::Served { cpu, .. } => {
                self.cpus[cpu].consumed();
                None
            }
            Fact::Report { cpu, reported, .. } => {
                let number = cpu;
                let cpu = &mut self.cpus[cpu];
                (cpu.first_us, cpu.deferred) = (None, None);
                if reported == Reported::Absorbed {
                    if cpu.is_too_soon() {
                        let text =
                            format!("CPU {number} reports an absorbed edge that is not suspicious");
                        return Err(Violation::new(Property::N3, text));
                    }
                    cpu.held_back_us = REPORTS_APART_US;
                }
                // The report was about the occurrence in progress.
                if let Some(dispatch) = cpu.dispatches.last_mut() {
                    dispatch.has_unknown = false;
                }
                None
            }
            Fact::Ended { cpu, ending, .. } => self.cpus[cpu].ended(ending).then_some(cpu),
            Fact::Hung(cpu) => {
                self.cpus[cpu].deferred = None;
                None
            }
            Fact::Passed { by_us, .. } => {
                let stuck_us = self.polls.longest_us();
                (0..self.cpus.len()).find(|cpu| self.cpus[*cpu].passed(by_us, stuck_us))
            }
            _ => None,
        };
        match hidden {
            Some(cpu) => {
                let text = format!(
                    "a true unknown on CPU {cpu} comes again after {REPORTED_AFTER_US} us or more, \
                     and stays hidden"
                );
                Err(Violation::new(Property::N3, text))
            }
            None => Ok(()),
        }
    }

    fn fold(&self, fingerprint: &mut Fingerprint) {
        (&self.cpus, &self.polls).hash(fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::{ended, passed, report, taken, verdict};
    use super::*;

    fn judge(history: &[Fact]) -> Result<(), Property> {
        verdict(Repeating::new(1, &Timing::SHORT), history).map_err(|violation| violation.property)
    }

    fn absorbed(serial: usize) -> [Fact; 2] {
        [taken(serial, &[Bell::Button]), ended(serial, Ending::Absorbed)]
    }

    #[test]
    fn a_repetition_may_be_hidden_for_a_while_and_not_for_longer() {
        let soon = [absorbed(1).as_slice(), &[passed(9_999 + CLOCK_US)], &absorbed(2)].concat();
        assert_eq!(judge(&soon), Ok(()));
        let later = [soon.as_slice(), &[passed(1)], &absorbed(3)].concat();
        assert_eq!(judge(&later), Err(Property::N3));
    }

    #[test]
    fn a_report_of_either_kind_will_do() {
        for reported in [Reported::Unknown, Reported::Absorbed] {
            let again =
                [taken(2, &[Bell::Button]), report(2, reported), ended(2, Ending::Absorbed)];
            let history = [absorbed(1).as_slice(), &[passed(20_000)], &again].concat();
            assert_eq!(judge(&history), Ok(()), "{reported:?}");
        }
    }

    #[test]
    fn absorbing_is_suspicious_after_a_while_and_once_a_second() {
        let hint = |serial| {
            [
                taken(serial, &[Bell::Lvt]),
                report(serial, Reported::Absorbed),
                ended(serial, Ending::Absorbed),
            ]
        };
        assert_eq!(judge(&[&[passed(9_000)], &hint(1)[..]].concat()), Err(Property::N3));
        let begin = [&[passed(10_000)], &hint(1)[..]].concat();
        assert_eq!(judge(&begin), Ok(()));
        let again = |us| judge(&[&begin[..], &[passed(us)], &hint(2)].concat());
        assert_eq!(again(900_000), Err(Property::N3));
        assert_eq!(again(1_000_000), Ok(()));
    }

    #[test]
    fn a_false_claim_hides_it_too_and_a_true_one_is_no_occurrence() {
        let claimed = |serial| [taken(serial, &[Bell::Button]), ended(serial, Ending::Claimed)];
        let history = [claimed(1).as_slice(), &[passed(20_000)], &claimed(2)].concat();
        assert_eq!(judge(&history), Err(Property::N3));
        let served = Fact::Served { cpu: 0, sends: 1, asked: 1 };
        let truly = [taken(2, &[Bell::Button]), served, ended(2, Ending::Claimed)];
        let history = [claimed(1).as_slice(), &[passed(20_000)], &truly].concat();
        assert_eq!(judge(&history), Ok(()));
    }

    #[test]
    fn a_deferred_repetition_is_settled_in_time() {
        let deferred = [taken(2, &[Bell::Button]), ended(2, Ending::Deferred)];
        let begin = [absorbed(1).as_slice(), &[passed(20_000)], &deferred].concat();
        let settled = [begin.as_slice(), &[passed(2_000), report(2, Reported::Unknown)]].concat();
        assert_eq!(judge(&settled), Ok(()));
        assert_eq!(judge(&[begin.as_slice(), &[passed(3_001)]].concat()), Err(Property::N3));
        let stuck = [Fact::Ticked(1), Fact::Hung(1)];
        let after = |us| {
            let history = [begin.as_slice(), &stuck, &[passed(us)]].concat();
            verdict(Repeating::new(2, &Timing::SHORT), &history).map_err(|it| it.property)
        };
        assert_eq!((after(13_000), after(13_001)), (Ok(()), Err(Property::N3)));
    }
}
