// SPDX-License-Identifier: MIT OR Apache-2.0
//! L: no external event is stranded: the library recovers each within its bound.
//!
//! The clock of an event starts at the end of an NMI for which its doorbell has rung, or when its
//! handler is registered or its route opened after it was set: from then on only the subsystem's
//! own memory leads to it. The clock counts time in which some CPU takes interrupts, and so its
//! tick. It does not count the time that code takes, since a CPU that has begun to pay a debt may
//! be slow.
//!
//! * Such time lasts [`RECOVERY_TICKS`] tick periods at most: one until the debt is old enough to
//!   be paid, one until the next tick, and one more if another poll was under way then.
//! * Where no CPU takes interrupts, an NMI pays a debt that is older than [`Timing::overdue_us`],
//!   in time in which CPUs could take NMIs. A tick that comes after all pays it, perhaps by an NMI
//!   of its own. An NMI on top of code of the library leaves it to that code.
//! * In the end no condition is set to which a handler attends.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::Hash,
};

use super::Monitor;
use crate::{
    engine::{Fingerprint, Property, Violation},
    machine::{Bell, Condition, CpuSet, Edge, Fact, Hardware, Timing},
};

/// Within how many tick periods the library recovers an event.
pub const RECOVERY_TICKS: u64 = 3;
/// How many NMIs may come between the moment at which an event is overdue and its recovery: in one
/// of them, another CPU may be polling.
const OVERDUE_NMIS: u8 = 2;

/// The monitor of L.
#[derive(Debug)]
pub struct Stranded {
    bound_us: u64,
    overdue_us: u64,
    set: BTreeMap<Condition, Event>,
    attended: BTreeSet<Bell>,
    /// What rang for each NMI in progress, by CPU, the innermost last.
    handled: Vec<Vec<Edge>>,
    /// The CPUs that are entering idle.
    entering_idle: CpuSet,
}

/// An event that is set.
#[derive(Clone, Copy, Debug, Default, Hash)]
struct Event {
    clock_runs: bool,
    /// Time in which some CPU takes interrupts.
    attended_us: u64,
    /// Time in which some CPU could take NMIs at any moment.
    open_us: u64,
    /// NMIs that have ended while it was overdue.
    nmis_too_many: u8,
}

impl Stranded {
    /// For that machine.
    pub fn new(hardware: &Hardware, timing: &Timing) -> Self {
        Self {
            bound_us: RECOVERY_TICKS * hardware.tick_period_us,
            overdue_us: timing.overdue_us + hardware.tick_period_us,
            set: BTreeMap::new(),
            attended: BTreeSet::new(),
            handled: vec![Vec::new(); hardware.cpus],
            entering_idle: CpuSet(0),
        }
    }

    /// An NMI has ended, on top of other code of the library or not.
    fn ended(&mut self, edge: Edge, is_on_top: bool) -> Option<String> {
        for (condition, event) in &mut self.set {
            if !self.attended.contains(&condition.bell()) {
                continue;
            }
            event.clock_runs |= edge.has(condition.bell());
            if event.open_us > self.overdue_us && !is_on_top {
                event.nmis_too_many += 1;
                if event.nmis_too_many > OVERDUE_NMIS {
                    return Some(format!("{condition} is overdue, and NMIs do not look for it"));
                }
            }
        }
        None
    }

    fn passed(&mut self, by_us: u64, open: bool, attentive: bool) -> Option<String> {
        for (condition, event) in self.set.iter_mut().filter(|(_, event)| event.clock_runs) {
            event.open_us += if open { by_us } else { 0 };
            event.attended_us += if attentive { by_us } else { 0 };
            if event.attended_us > self.bound_us {
                let ticks = RECOVERY_TICKS;
                return Some(format!("{condition} is not recovered within {ticks} ticks"));
            }
        }
        None
    }
}

impl Monitor for Stranded {
    fn note(&mut self, _: u64, fact: &Fact) -> Result<(), Violation> {
        let lost = match *fact {
            Fact::Set(condition) if condition.is_machine_wide() => {
                self.set.insert(condition, Event::default());
                None
            }
            Fact::Consumed { condition, .. } => {
                self.set.remove(&condition);
                None
            }
            Fact::Attended(bell) => {
                self.attended.insert(bell);
                for (_, event) in self.set.iter_mut().filter(|(it, _)| it.bell() == bell) {
                    event.clock_runs = true;
                }
                None
            }
            Fact::Leaving(bell) => {
                self.attended.remove(&bell);
                for (_, event) in self.set.iter_mut().filter(|(it, _)| it.bell() == bell) {
                    *event = Event::default();
                }
                None
            }
            Fact::Taken { cpu, edge, .. } => {
                self.handled[cpu].push(edge);
                None
            }
            Fact::Ended { cpu, .. } => {
                let edge = self.handled[cpu].pop().unwrap_or_default();
                let is_on_top = !self.handled[cpu].is_empty() || self.entering_idle.has(cpu);
                self.ended(edge, is_on_top)
            }
            Fact::EntersIdle(cpu) => {
                self.entering_idle.add(cpu);
                None
            }
            Fact::EnteredIdle(cpu) | Fact::WentOffline(cpu) => {
                self.entering_idle.remove(cpu);
                None
            }
            Fact::Ticked(_) => {
                self.set.values_mut().for_each(|event| event.open_us = 0);
                None
            }
            Fact::Passed { by_us, deaf, attentive, busy, .. } => {
                let open = (0..self.handled.len()).any(|cpu| !deaf.has(cpu));
                self.passed(by_us, open, attentive.0 != 0 && !busy)
            }
            _ => None,
        };
        lost.map_or(Ok(()), |text| Err(Violation::new(Property::L, text)))
    }

    fn finish(&self) -> Result<(), Violation> {
        let lost = self.set.keys().find(|it| self.attended.contains(&it.bell()));
        match lost {
            Some(condition) => {
                let text = format!("{condition} stays set, and nobody looks any more");
                Err(Violation::new(Property::L, text))
            }
            None => Ok(()),
        }
    }

    fn fold(&self, fingerprint: &mut Fingerprint) {
        (&self.set, &self.entering_idle).hash(fingerprint);
        self.attended.hash(fingerprint);
        self.handled.hash(fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::{ended, passed, taken, verdict};
    use super::*;
    use crate::machine::Ending;

    const BELL: Bell = Bell::External(0);
    const EVENT: Condition = Condition::External(0);
    const CONSUMED: Fact = Fact::Consumed { condition: EVENT, cpu: 0 };

    fn judge(history: &[Fact]) -> Result<(), Property> {
        let hardware = Hardware { cpus: 1, ..Hardware::BARE };
        let monitor = Stranded::new(&hardware, &Timing::SHORT);
        verdict(monitor, history).map_err(|violation| violation.property)
    }

    fn collapses() -> [Fact; 4] {
        let edge = taken(1, &[Bell::Lvt, BELL]);
        [Fact::Attended(BELL), Fact::Set(EVENT), edge, ended(1, Ending::Claimed)]
    }

    #[test]
    fn it_is_recovered_in_time_or_lost() {
        let begin = collapses();
        let in_time = [begin.as_slice(), &[passed(3_000), CONSUMED]].concat();
        assert_eq!(judge(&in_time), Ok(()));
        let late = [begin.as_slice(), &[passed(3_001), CONSUMED]].concat();
        assert_eq!(judge(&late), Err(Property::L));
        assert_eq!(judge(&begin), Err(Property::L), "in the end");
    }

    #[test]
    fn before_its_edge_was_taken_nothing_is_owed() {
        let on_its_way = [Fact::Attended(BELL), Fact::Set(EVENT), passed(9_000), CONSUMED];
        assert_eq!(judge(&on_its_way), Ok(()));
    }

    #[test]
    fn a_line_that_is_asserted_when_its_handler_comes_is_recovered() {
        let begin = [Fact::Set(EVENT), passed(9_000), Fact::Attended(BELL)];
        assert_eq!(judge(&[&begin[..], &[passed(3_000), CONSUMED]].concat()), Ok(()));
        assert_eq!(judge(&[&begin[..], &[passed(3_001)]].concat()), Err(Property::L));
    }

    #[test]
    fn where_no_tick_can_come_nmis_pay_what_is_overdue() {
        let nobody = CpuSet(0);
        let (deaf, attentive, ticking) = (nobody, nobody, nobody);
        let off = |by_us| Fact::Passed { by_us, deaf, attentive, ticking, busy: false };
        let begin = [collapses().as_slice(), &[off(6_000)]].concat();
        let nmi = |serial| [taken(serial, &[Bell::Lvt]), ended(serial, Ending::Claimed)];
        let pays = [begin.as_slice(), &nmi(2), &[CONSUMED]].concat();
        assert_eq!(judge(&pays), Ok(()));
        let never = [begin.as_slice(), &nmi(2), &nmi(3), &nmi(4)].concat();
        assert_eq!(judge(&never), Err(Property::L));
        let nmis = [nmi(2), nmi(3), nmi(4)].concat();
        let idles = [Fact::EntersIdle(0), Fact::EnteredIdle(0)];
        let on_top = [&begin, &idles[..1], &nmis, &idles[1..], &[CONSUMED]].concat();
        assert_eq!(judge(&on_top), Ok(()));
        let after = [&begin, &idles[..], &nmis].concat();
        assert_eq!(judge(&after), Err(Property::L));
    }
}
