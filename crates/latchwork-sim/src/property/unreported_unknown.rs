// SPDX-License-Identifier: MIT OR Apache-2.0
//! N3, for single edges: the library reports a true unknown that it calls unknown, and settles one
//! that it defers.
//!
//! The library reports an NMI that ends as unknown before that NMI ends. It may only count one that
//! may be a late send's, since a send was stuck for long enough, if there was a report shortly
//! before. If a true unknown came alone and was deferred, and no claim could explain it, the
//! library reports it within [`SETTLED_WITHIN_US`] of time in which its CPU ticks. It settles
//! whatever the policy says that it has deferred within [`WAITS_TICKS`] after the last deferral.
//! It may take longer only for a [stuck poll](super::stuck_poll).

use std::hash::Hash;

use super::{
    Monitor, SETTLED_WITHIN_US,
    stuck_poll::{StuckPolls, Wait},
};
use crate::{
    engine::{Fingerprint, Property, Violation},
    machine::{Bell, CpuSet, Edge, Ending, Fact, Hardware, Reported, Timing},
};

/// For how many tick periods an edge waits: until the debt is old enough and the tick comes, twice
/// where another CPU polls just then, and one for clocks that differ.
const WAITS_TICKS: u64 = 5;

/// For how long after a report the library may hold back those of late sends, in microseconds. The
/// next report counts them.
const UNKNOWNS_APART_US: u64 = 100_000;

/// The monitor of N3 for single edges.
#[derive(Debug)]
pub struct UnreportedUnknown {
    cpus: Vec<Cpu>,
    polls: StuckPolls,
    hardware: Hardware,
    /// For how long after its arrival a claim may explain a deferred edge; for ever if there is no
    /// such time, wherever the rings of the claim go.
    claims_count_us: Option<u64>,
    /// For how long a claim may explain an edge.
    explains_us: u64,
    waits_us: u64,
    /// How long a send that does not finish may hold grants.
    hold_us: u64,
}

#[derive(Clone, Debug, Default, Hash)]
struct Cpu {
    /// One for each NMI in progress, the innermost last.
    dispatches: Vec<Dispatch>,
    /// True unknowns that are deferred and that nothing explains.
    deferred: Vec<Deferred>,
    /// The age of the last claim, while it may still explain an edge.
    claimed_us: Option<u64>,
    /// For how long the last one that was deferred has waited, unless all are settled.
    waits: Option<Wait>,
    unfinished_sends: u8,
    /// For how long there has been an unfinished send.
    unfinished_us: u64,
    /// A send to it has been unfinished for so long that the library may have written it off.
    may_meet_late_sends: bool,
    /// For how much longer the library may hold back reports of late sends.
    held_back_us: u64,
    /// It has come back, and has deferred nothing since.
    is_new: bool,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Dispatch {
    is_unknown_alone: bool,
    reported: bool,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Deferred {
    serial: usize,
    /// In time in which its CPU ticks.
    wait: Wait,
    age_us: u64,
}

impl UnreportedUnknown {
    /// For that machine.
    pub fn new(hardware: &Hardware, timing: &Timing) -> Self {
        Self {
            cpus: vec![Cpu::default(); hardware.cpus],
            polls: StuckPolls::new(hardware.cpus, timing),
            hardware: *hardware,
            claims_count_us: None,
            explains_us: hardware.longest_late_us().max(timing.late_us) + timing.cap_us,
            waits_us: WAITS_TICKS * hardware.tick_period_us,
            hold_us: timing.hold_us,
        }
    }

    /// The same, more strictly: a claim explains edges only where its rings go, and only edges that
    /// came while it could not be settled what they were. And each edge that was deferred before
    /// its CPU went offline is in some count when that is back.
    #[must_use]
    pub fn strictly(hardware: &Hardware, timing: &Timing) -> Self {
        let claims_count_us = Some(timing.cap_us + hardware.tick_period_us);
        Self { claims_count_us, ..Self::new(hardware, timing) }
    }

    fn claimed(&mut self, by: usize, bell: Bell) {
        for (number, cpu) in self.cpus.iter_mut().enumerate() {
            let is_machine_wide = matches!(bell, Bell::External(_) | Bell::Port61);
            let explains = match self.claims_count_us {
                Some(_) if is_machine_wide => self.hardware.rings(bell, number),
                _ => number == by || is_machine_wide,
            };
            if explains {
                cpu.claimed_us = Some(0);
                let counts_us = self.claims_count_us;
                cpu.deferred.retain(|edge| counts_us.is_some_and(|most_us| edge.age_us > most_us));
            }
        }
    }

    fn passed(&mut self, by_us: u64, deaf: CpuSet, ticking: CpuSet) -> Result<(), Violation> {
        let explains_us = self.explains_us;
        let stuck_us = self.polls.longest_us();
        for (number, cpu) in self.cpus.iter_mut().enumerate() {
            if let Some(most_us) = self.claims_count_us {
                let age = |us: u64| (us + by_us).min(most_us + 1);
                cpu.deferred.iter_mut().for_each(|edge| edge.age_us = age(edge.age_us));
            }
            cpu.held_back_us = cpu.held_back_us.saturating_sub(by_us);
            if cpu.unfinished_sends != 0 && !cpu.may_meet_late_sends {
                cpu.unfinished_us += by_us;
                cpu.may_meet_late_sends = cpu.unfinished_us >= self.hold_us;
            }
            if !deaf.has(number) {
                cpu.claimed_us = cpu
                    .claimed_us
                    .map(|age_us| age_us + by_us)
                    .filter(|age_us| *age_us <= explains_us);
            }
            let ticks = ticking.has(number);
            if let Some(wait) = &mut cpu.waits {
                wait.passed(by_us, ticks, stuck_us);
                // Beyond the limit, waits need not differ.
                wait.us = wait.us.min(self.waits_us + 1);
            }
            for edge in &mut cpu.deferred {
                edge.wait.passed(by_us, ticks, stuck_us);
            }
            if cpu.deferred.iter().any(|edge| edge.wait.us > SETTLED_WITHIN_US) {
                return Err(broken(format!("CPU {number} does not settle a true unknown")));
            }
        }
        Ok(())
    }
}

fn broken(text: String) -> Violation {
    Violation::new(Property::N3, text)
}

impl Cpu {
    fn reported(&mut self, serial: usize) {
        let own = self.deferred.iter().position(|edge| edge.serial == serial);
        let already_reported = self.dispatches.last().is_none_or(|dispatch| dispatch.reported);
        // One report covers several edges that are settled together, in the name of the first.
        let settled = own.or(self.deferred.len().checked_sub(1).filter(|_| already_reported));
        if let Some(place) = settled {
            self.deferred.remove(place);
        } else if let Some(dispatch) = self.dispatches.last_mut() {
            dispatch.reported = true;
        }
    }

    /// Returns whether it is an unknown NMI without a report.
    fn ended(&mut self, serial: usize, ending: Ending) -> bool {
        let Some(dispatch) = self.dispatches.pop() else { return false };
        if ending == Ending::Deferred {
            self.is_new = false;
            self.waits = Some(Wait::default());
            // The CPU may have settled it before its NMI ends.
            let is_open = dispatch.is_unknown_alone && !dispatch.reported;
            if is_open && self.claimed_us.is_none() {
                self.deferred.push(Deferred { serial, wait: Wait::default(), age_us: 0 });
            }
        }
        let may_be_held_back = self.may_meet_late_sends && self.held_back_us != 0;
        ending == Ending::Unknown && !dispatch.reported && !may_be_held_back
    }
}

impl Monitor for UnreportedUnknown {
    fn note(&mut self, _: u64, fact: &Fact) -> Result<(), Violation> {
        self.polls.note(fact);
        match *fact {
            Fact::Taken { cpu, serial, edge } => {
                let is_unknown_alone = edge == Edge::of(&[Bell::Button]);
                let cpu = &mut self.cpus[cpu];
                cpu.deferred.retain(|edge| edge.serial != serial);
                cpu.dispatches.push(Dispatch { is_unknown_alone, reported: false });
            }
            Fact::Served { cpu, .. } => self.claimed(cpu, Bell::Software),
            Fact::Consumed { cpu, condition } => self.claimed(cpu, condition.bell()),
            Fact::FoundClear { cpu, bell } | Fact::ClaimsOutside { cpu, bell } => {
                match self.claims_count_us {
                    Some(_) => self.claimed(cpu, bell),
                    None => self.claimed(cpu, Bell::Port61),
                }
            }
            Fact::Report { cpu, serial, reported } if reported != Reported::Absorbed => {
                let cpu = &mut self.cpus[cpu];
                cpu.reported(serial);
                cpu.held_back_us = UNKNOWNS_APART_US;
            }
            Fact::SendBegan { to } => self.cpus[to].unfinished_sends += 1,
            Fact::SendEnded { to, .. } => {
                let cpu = &mut self.cpus[to];
                cpu.unfinished_sends -= 1;
                if cpu.unfinished_sends == 0 {
                    cpu.unfinished_us = 0;
                }
            }
            Fact::Ended { cpu, serial, ending, .. } => {
                let is_unreported = self.cpus[cpu].ended(serial, ending);
                return match is_unreported {
                    true => {
                        Err(broken(format!("CPU {cpu} calls an edge unknown and reports nothing")))
                    }
                    false => Ok(()),
                };
            }
            Fact::Unsettled { cpu, edges } => {
                let wait = self.cpus[cpu].waits;
                if edges == 0 {
                    self.cpus[cpu].waits = None;
                } else if self.claims_count_us.is_some() && self.cpus[cpu].is_new {
                    return Err(broken(format!(
                        "{edges} edge(s) that CPU {cpu} had deferred are in no count"
                    )));
                } else if wait.is_some_and(|wait| wait.us > self.waits_us) {
                    return Err(broken(format!(
                        "CPU {cpu} never settles {edges} deferred edge(s)"
                    )));
                }
            }
            Fact::Passed { by_us, deaf, ticking, .. } => return self.passed(by_us, deaf, ticking),
            Fact::CameOnline(cpu) => self.cpus[cpu].is_new = self.claims_count_us.is_some(),
            Fact::WentOffline(cpu) | Fact::Hung(cpu) => {
                (self.cpus[cpu].deferred, self.cpus[cpu].waits) = (Vec::new(), None);
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), Violation> {
        match self.cpus.iter().position(|cpu| !cpu.deferred.is_empty()) {
            Some(cpu) => Err(broken(format!("CPU {cpu} never settles a true unknown"))),
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
        let hardware = Hardware { cpus: 1, ..Hardware::BARE };
        verdict(UnreportedUnknown::new(&hardware, &Timing::SHORT), history)
            .map_err(|violation| violation.property)
    }

    fn deferred() -> Vec<Fact> {
        vec![taken(1, &[Bell::Button]), ended(1, Ending::Deferred)]
    }

    #[test]
    fn what_is_called_unknown_is_reported() {
        let reported =
            [taken(1, &[Bell::Button]), report(1, Reported::Unknown), ended(1, Ending::Unknown)];
        assert_eq!(judge(&reported), Ok(()));
        let kept = [taken(1, &[Bell::Button]), ended(1, Ending::Unknown)];
        assert_eq!(judge(&kept), Err(Property::N3));
        let after =
            |us, begin: &[Fact]| judge(&[begin, &reported[..], &[passed(us)], &kept].concat());
        let stuck = [Fact::SendBegan { to: 0 }, passed(Timing::SHORT.hold_us)];
        assert_eq!(after(99_999, &stuck), Ok(()), "it may be that send's");
        assert_eq!(after(100_000, &stuck), Err(Property::N3));
        assert_eq!(after(99_999, &[]), Err(Property::N3));
        let hinted =
            [taken(1, &[Bell::Button]), report(1, Reported::Absorbed), ended(1, Ending::Unknown)];
        assert_eq!(judge(&hinted), Err(Property::N3));
    }

    #[test]
    fn a_deferred_unknown_is_reported_in_time() {
        let in_time = [deferred(), vec![passed(3_000), report(1, Reported::Unknown)]].concat();
        assert_eq!(judge(&in_time), Ok(()));
        assert_eq!(judge(&[deferred(), vec![passed(3_001)]].concat()), Err(Property::N3));
        assert_eq!(judge(&deferred()), Err(Property::N3), "it is never");
        let [taken, ended] = &deferred()[..] else { unreachable!() };
        let at_once = [taken.clone(), report(1, Reported::Unknown), ended.clone()];
        assert_eq!(judge(&at_once), Ok(()));
    }

    #[test]
    fn a_deferred_edge_waits_for_a_stuck_poll_and_no_longer_than_the_cap() {
        let judge = |begin: &[Fact], us| {
            let hardware = Hardware { cpus: 2, ..Hardware::BARE };
            let history = [begin, &deferred(), &[Fact::Hung(1), passed(us)]].concat();
            let history = [&history[..], &[report(1, Reported::Unknown)]].concat();
            verdict(UnreportedUnknown::new(&hardware, &Timing::SHORT), &history)
                .map_err(|violation| violation.property)
        };
        assert_eq!(judge(&[Fact::Ticked(1)], 13_000), Ok(()));
        assert_eq!(judge(&[Fact::Ticked(1)], 13_001), Err(Property::N3));
        assert_eq!(judge(&[], 3_001), Err(Property::N3), "it hung elsewhere");
    }

    #[test]
    fn a_claim_may_explain_a_deferred_edge() {
        let served = Fact::Served { cpu: 0, sends: 1, asked: 1 };
        assert_eq!(judge(&[deferred(), vec![served.clone(), passed(9_000)]].concat()), Ok(()));
        assert_eq!(judge(&[vec![served], deferred(), vec![passed(9_000)]].concat()), Ok(()));
    }

    #[test]
    fn what_was_deferred_is_settled_in_the_end() {
        let served = Fact::Served { cpu: 0, sends: 1, asked: 1 };
        let waits = |edges| Fact::Unsettled { cpu: 0, edges };
        let late = WAITS_TICKS * Hardware::BARE.tick_period_us + 1;
        let begin = [deferred(), vec![served]].concat();
        let after = |us, edges| judge(&[begin.clone(), vec![passed(us), waits(edges)]].concat());
        assert_eq!(after(late, 0), Ok(()));
        assert_eq!(after(late - 1, 1), Ok(()));
        assert_eq!(after(late, 1), Err(Property::N3));
    }
}
