// SPDX-License-Identifier: MIT OR Apache-2.0
//! N1: the library reports no unknown NMI when no source raised one.
//!
//! Each report must have a true unknown of its own, on the same CPU: its own edge, or an earlier
//! one that was not reported and took an orphan's place. *A true unknown rings. While the CPU
//! handles it, a counter overflows, and a handler claims that. Now the counter's own edge finds
//! nothing.* One unknown was raised and one is reported, and no software can tell which of the two
//! edges it was. Such an excuse lasts as long as N2's bound lets a claim explain an edge, and
//! claims renew it. A deferred edge that nobody reports while it may be settled was absorbed; it
//! may wait for a [stuck poll](super::stuck_poll).
//!
//! An edge of a doorbell to which no handler attends is a true unknown, too, and so is one whose
//! handler is removed before any handler has claimed its condition. A report as a late send is
//! right for an edge in which a send's ring came after the longest time that an unfinished send may
//! hold grants, and for a true unknown. Such an edge that is not reported took the place of another
//! send's, so it excuses one report as a late send, and no other. It does so for longer: that other
//! send may be unfinished for as long as it may hold grants.
//!
//! Where a clock steps, rings that are under way then are forgiven, and none that come later.

use std::{collections::BTreeSet, hash::Hash};

use super::{
    Monitor, SETTLED_WITHIN_US,
    stuck_poll::{StuckPolls, Wait},
};
use crate::{
    engine::{Fingerprint, Property, Violation},
    machine::{Bell, Edge, Ending, Fact, Hardware, Reported, Timing},
};

/// The monitor of N1.
#[derive(Debug)]
pub struct FalseUnknown {
    cpus: Vec<Cpu>,
    polls: StuckPolls,
    attended: BTreeSet<Bell>,
    late_us: u64,
    tick_period_us: u64,
    cap_us: u64,
    hold_us: u64,
}

#[derive(Clone, Debug, Default, Hash)]
struct Cpu {
    /// The edges that may still be reported: of NMIs in progress, and deferred ones.
    open: Vec<OpenEdge>,
    /// True unknowns that were not reported.
    excuses: Vec<Excuse>,
    /// Edges in which a send's ring came late, and that were not reported.
    late_sends: Vec<Excuse>,
    /// True unknowns that were taken for a late send. A stuck send excuses one edge, so the edge of
    /// that send may be reported in their place.
    taken_for_late_sends: u8,
    /// Machine-wide doorbells whose rings came and were not reported, and whose condition is still
    /// set, as far as the monitor knows.
    unanswered: Vec<Bell>,
    /// Its clock has stepped, and for that much longer rings may come whose claims it misjudges.
    clock_stepped_us: u64,
}

#[derive(Clone, Copy, Debug, Hash)]
struct OpenEdge {
    serial: usize,
    edge: Edge,
    /// A true unknown is in it, or excuses it, and was not reported.
    is_unknown: bool,
    reported: bool,
    /// For how long it has been deferred, in time in which its CPU ticks.
    deferred: Option<Wait>,
}

/// The age of an excuse, in time in which the CPU could take NMIs, and interrupts too.
#[derive(Clone, Copy, Debug, Default, Hash)]
struct Excuse {
    open_us: u64,
    attentive_us: u64,
}

impl OpenEdge {
    fn is_unreported_late_send(&self) -> bool {
        !self.reported && self.edge.has(Bell::LateSoftware)
    }
}

impl Cpu {
    /// Nobody will claim what these rings were for.
    fn loses(&mut self, bell: Bell) {
        let before = self.unanswered.len();
        self.unanswered.retain(|it| *it != bell);
        let lost = before - self.unanswered.len();
        self.excuses.extend(std::iter::repeat_n(Excuse::default(), lost));
    }
}

impl Cpu {
    /// Takes an excuse for a report as a late send, if there is one.
    fn has_late_send(&mut self) -> bool {
        if self.late_sends.pop().is_some() {
            return true;
        }
        let mut deferred = self.open.iter_mut().filter(|open| open.deferred.is_some());
        let late_send = deferred.find(|open| open.is_unreported_late_send());
        late_send.map(|open| open.reported = true).is_some()
    }

    /// Time passes. An edge that was deferred for long enough is settled: if it was not reported,
    /// it was absorbed.
    fn settles(&mut self, by_us: u64, ticks: bool, stuck_us: u64) {
        let (mut absorbed, mut late_sends) = (0, 0);
        self.open.retain_mut(|open| {
            let Some(wait) = &mut open.deferred else { return true };
            wait.passed(by_us, ticks, stuck_us);
            let waits = wait.us <= SETTLED_WITHIN_US;
            absorbed += usize::from(!waits && open.is_unknown);
            late_sends += usize::from(!waits && open.is_unreported_late_send());
            waits
        });
        self.excuses.extend(std::iter::repeat_n(Excuse::default(), absorbed));
        self.late_sends.extend(std::iter::repeat_n(Excuse::default(), late_sends));
    }
}

impl FalseUnknown {
    /// For that machine.
    pub fn new(hardware: &Hardware, timing: &Timing) -> Self {
        let late_us = hardware.longest_late_us().max(timing.late_us);
        Self {
            cpus: vec![Cpu::default(); hardware.cpus],
            polls: StuckPolls::new(hardware.cpus, timing),
            attended: BTreeSet::new(),
            late_us,
            tick_period_us: hardware.tick_period_us,
            cap_us: timing.cap_us,
            hold_us: timing.hold_us,
        }
    }

    fn has_unknown(&self, edge: Edge) -> bool {
        edge.has(Bell::Button) || self.is_unattended(edge)
    }

    /// Whether a doorbell to which no handler attends is in the edge.
    fn is_unattended(&self, edge: Edge) -> bool {
        edge.bells().any(|bell| match bell {
            Bell::Software | Bell::LateSoftware | Bell::Button => false,
            Bell::Lvt | Bell::Port61 | Bell::External(_) => !self.attended.contains(&bell),
        })
    }

    fn report(&mut self, cpu: usize, serial: usize, reported: Reported) -> Result<(), Violation> {
        if reported == Reported::Absorbed || self.cpus[cpu].clock_stepped_us != 0 {
            return Ok(());
        }
        let place = self.cpus[cpu].open.iter().position(|open| open.serial == serial);
        let edge = place.map_or(Edge::NONE, |place| self.cpus[cpu].open[place].edge);
        let unattended = self.is_unattended(edge);
        let cpu_state = &mut self.cpus[cpu];
        let own = place.is_some_and(|place| {
            let open = &mut cpu_state.open[place];
            open.reported = true;
            std::mem::take(&mut open.is_unknown)
        });
        let is_late_send = edge.has(Bell::LateSoftware);
        let exchanged = &mut cpu_state.taken_for_late_sends;
        if reported == Reported::LateSend && !is_late_send {
            *exchanged = exchanged.saturating_add(1);
        }
        if own || unattended || reported == Reported::LateSend && is_late_send {
            return Ok(());
        }
        if is_late_send && *exchanged != 0 {
            *exchanged -= 1;
            return Ok(());
        }
        if reported == Reported::LateSend && cpu_state.has_late_send() {
            return Ok(());
        }
        if cpu_state.excuses.pop().is_some() {
            return Ok(());
        }
        // A CPU may settle several deferred edges together, in the name of the first.
        if let Some(other) = cpu_state.open.iter_mut().find(|open| open.is_unknown) {
            other.is_unknown = false;
            return Ok(());
        }
        let text = format!("CPU {cpu} reports {reported:?} for an edge of: {edge}");
        Err(Violation::new(Property::N1, text))
    }

    fn ended(&mut self, cpu: usize, serial: usize, ending: Ending) {
        let Some(place) = self.cpus[cpu].open.iter().position(|open| open.serial == serial) else {
            return;
        };
        let open = self.cpus[cpu].open[place];
        // Its handler may have been removed meanwhile.
        let is_unknown = open.is_unknown || !open.reported && self.is_unattended(open.edge);
        let cpu = &mut self.cpus[cpu];
        cpu.open[place].is_unknown = is_unknown;
        if ending == Ending::Deferred {
            cpu.open[place].deferred = Some(Wait::default());
            if !cpu.open[place].is_unknown {
                cpu.open[place].is_unknown = cpu.excuses.pop().is_some();
            }
            return;
        }
        let open = cpu.open.remove(place);
        if open.is_unknown {
            cpu.excuses.push(Excuse::default());
        } else if !open.reported {
            let wide = |bell: &Bell| matches!(bell, Bell::Port61 | Bell::External(_));
            cpu.unanswered.extend(open.edge.bells().filter(wide));
        }
        if open.is_unreported_late_send() {
            cpu.late_sends.push(Excuse::default());
        }
        if ending == Ending::Claimed {
            cpu.excuses.fill(Excuse::default());
            cpu.late_sends.fill(Excuse::default());
        }
    }
}

impl Monitor for FalseUnknown {
    fn note(&mut self, _: u64, fact: &Fact) -> Result<(), Violation> {
        self.polls.note(fact);
        match *fact {
            Fact::Taken { cpu, serial, edge } => {
                let is_unknown = self.has_unknown(edge);
                let open = &mut self.cpus[cpu].open;
                open.retain(|open| open.serial != serial);
                open.push(OpenEdge { serial, edge, is_unknown, reported: false, deferred: None });
            }
            Fact::Report { cpu, serial, reported } => return self.report(cpu, serial, reported),
            Fact::Ended { cpu, serial, ending, .. } => self.ended(cpu, serial, ending),
            Fact::Attended(bell) => {
                self.attended.insert(bell);
            }
            Fact::Consumed { condition, .. } => {
                let bell = condition.bell();
                self.cpus.iter_mut().for_each(|cpu| cpu.unanswered.retain(|it| *it != bell));
            }
            Fact::ClockStepped(cpu) => {
                self.cpus[cpu].clock_stepped_us = self.late_us + self.tick_period_us;
            }
            Fact::Leaving(bell) => {
                self.attended.remove(&bell);
                self.cpus.iter_mut().for_each(|cpu| cpu.loses(bell));
            }
            Fact::Passed { by_us, deaf, ticking, .. } => {
                let stuck_us = self.polls.longest_us();
                let (late_us, period_us, cap_us) = (self.late_us, self.tick_period_us, self.cap_us);
                let hold_us = self.hold_us;
                for (number, cpu) in self.cpus.iter_mut().enumerate() {
                    let open_us = if deaf.has(number) { 0 } else { by_us };
                    let ticking_us = if ticking.has(number) { by_us } else { 0 };
                    cpu.clock_stepped_us = cpu.clock_stepped_us.saturating_sub(open_us);
                    cpu.settles(by_us, ticking.has(number), stuck_us);
                    let counts = |excuse: &mut Excuse, late_us| {
                        excuse.open_us += open_us;
                        excuse.attentive_us += ticking_us;
                        excuse.open_us <= late_us + cap_us
                            && excuse.attentive_us <= late_us + period_us
                    };
                    cpu.excuses.retain_mut(|excuse| counts(excuse, late_us));
                    cpu.late_sends.retain_mut(|excuse| counts(excuse, late_us + hold_us));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn fold(&self, fingerprint: &mut Fingerprint) {
        (&self.cpus, &self.polls).hash(fingerprint);
        self.attended.hash(fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::{ended, passed, report, taken, verdict};
    use super::*;

    const ATTENDED: Fact = Fact::Attended(Bell::Lvt);

    fn judge(history: &[Fact]) -> Result<(), Property> {
        let hardware = Hardware { cpus: 1, ..Hardware::BARE };
        let monitor = FalseUnknown::new(&hardware, &Timing::SHORT);
        verdict(monitor, history).map_err(|violation| violation.property)
    }

    #[test]
    fn a_report_is_judged_by_what_rang() {
        let orphan = [taken(1, &[Bell::Software]), report(1, Reported::Unknown)];
        assert_eq!(judge(&orphan), Err(Property::N1));
        let unknown = [taken(1, &[Bell::Software, Bell::Button]), report(1, Reported::Unknown)];
        assert_eq!(judge(&unknown), Ok(()));
    }

    #[test]
    fn a_deferred_edge_may_be_reported_once_a_stuck_poll_no_longer_holds_it_up() {
        let deferred = [taken(1, &[Bell::Button]), ended(1, Ending::Deferred)];
        let hung = [Fact::Ticked(1), Fact::Hung(1)];
        let verdict = |hung: &[Fact], waits_us| {
            let report = [passed(waits_us), report(2, Reported::Unknown)];
            let hardware = Hardware { cpus: 2, ..Hardware::BARE };
            let monitor = FalseUnknown::new(&hardware, &Timing::SHORT);
            verdict(monitor, &[&deferred, hung, &report].concat()).map_err(|it| it.property)
        };
        let cap_us = Timing::SHORT.cap_us;
        assert_eq!(verdict(&hung, SETTLED_WITHIN_US + cap_us), Ok(()));
        assert_eq!(verdict(&hung, SETTLED_WITHIN_US + 3 * cap_us), Err(Property::N1));
        assert_eq!(verdict(&[], SETTLED_WITHIN_US + cap_us), Err(Property::N1));
    }

    #[test]
    fn a_true_unknown_excuses_one_report_and_soon() {
        let hidden = [ATTENDED, taken(1, &[Bell::Button]), ended(1, Ending::Claimed)];
        let orphan =
            [taken(2, &[Bell::Lvt]), report(2, Reported::Unknown), ended(2, Ending::Unknown)];
        assert_eq!(judge(&[&hidden[..], &orphan].concat()), Ok(()));
        let twice = [&hidden[..], &orphan, &orphan].concat();
        assert_eq!(judge(&twice), Err(Property::N1));
        let later = [&hidden[..], &[passed(2_000)], &orphan].concat();
        assert_eq!(judge(&later), Err(Property::N1));
        let reported = [
            ATTENDED,
            taken(1, &[Bell::Button]),
            report(1, Reported::Unknown),
            ended(1, Ending::Unknown),
        ];
        let second = [&reported[..], &orphan].concat();
        assert_eq!(judge(&second), Err(Property::N1));
    }

    #[test]
    fn what_nobody_attends_to_is_a_true_unknown() {
        let report = [taken(1, &[Bell::External(0)]), report(1, Reported::Unknown)];
        assert_eq!(judge(&report), Ok(()));
        let attended = [Fact::Attended(Bell::External(0))];
        assert_eq!(judge(&[&attended[..], &report].concat()), Err(Property::N1));
    }

    #[test]
    fn a_deferred_edge_may_be_reported_later() {
        let history = [
            ATTENDED,
            taken(1, &[Bell::Button]),
            ended(1, Ending::Deferred),
            taken(2, &[Bell::Lvt]),
            report(1, Reported::Unknown),
        ];
        assert_eq!(judge(&history), Ok(()));
    }

    #[test]
    fn only_a_late_send_is_reported_as_one() {
        let in_time = [taken(1, &[Bell::Software]), report(1, Reported::LateSend)];
        assert_eq!(judge(&in_time), Err(Property::N1));
        let late = [taken(1, &[Bell::LateSoftware]), report(1, Reported::LateSend)];
        assert_eq!(judge(&late), Ok(()));
        let panicked = [taken(1, &[Bell::LateSoftware]), report(1, Reported::Unknown)];
        assert_eq!(judge(&panicked), Err(Property::N1));
    }

    #[test]
    fn a_late_send_that_took_the_place_of_another_excuses_one_report_as_one() {
        let absorbed = [taken(1, &[Bell::LateSoftware]), ended(1, Ending::Absorbed)];
        let [late, unknown] = [Reported::LateSend, Reported::Unknown].map(|reported| {
            [taken(2, &[Bell::Software]), report(2, reported), ended(2, Ending::Unknown)]
        });
        assert_eq!(judge(&[&absorbed[..], &late].concat()), Ok(()));
        assert_eq!(judge(&[&absorbed[..], &unknown].concat()), Err(Property::N1));
        assert_eq!(judge(&[&absorbed[..], &late, &late].concat()), Err(Property::N1));
        let later = [&absorbed[..], &[passed(11_300)], &late].concat();
        assert_eq!(judge(&later), Err(Property::N1));
    }
}
