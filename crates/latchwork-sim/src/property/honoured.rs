// SPDX-License-Identifier: MIT OR Apache-2.0
//! H: what is accepted is honoured, and nothing else is done in its name.
//!
//! * A CPU serves or drops an accepted send within [`HONOURED_WITHIN_TICKS`] tick periods of time
//!   in which it could take NMIs at any moment.
//! * An item that was queued runs within as many of time in which some CPU ticks.
//! * A CPU parks in an NMI only, and only if somebody has asked it to since it is online.
//! * The end of each storm is told.

use std::{collections::BTreeMap, hash::Hash};

use super::Monitor;
use crate::{
    engine::{Fingerprint, Property, Violation},
    machine::{Fact, Hardware},
};

/// Within how many tick periods what was accepted is done.
pub const HONOURED_WITHIN_TICKS: u64 = 5;

/// The monitor of H.
#[derive(Debug)]
pub struct Honoured {
    within_us: u64,
    cpus: Vec<Cpu>,
    items: BTreeMap<usize, Owed>,
}

#[derive(Clone, Debug, Default, Hash)]
struct Cpu {
    sends: Owed,
    /// Sends to it that have not returned.
    unfinished: u8,
    /// Somebody has asked it to park in this life.
    may_park: bool,
    in_storms: u8,
    hangs: bool,
}

/// What is accepted and not done, and for how long one of that has been.
#[derive(Clone, Copy, Debug, Default, Hash)]
struct Owed {
    /// May be done before it is said to be accepted.
    balance: i16,
    waits_us: u64,
}

impl Owed {
    fn accept(&mut self) {
        self.balance += 1;
    }

    fn done(&mut self, times: usize) {
        self.balance -= times as i16;
        self.waits_us = 0;
    }

    fn passed(&mut self, by_us: u64, within_us: u64) -> bool {
        self.waits_us = if self.balance > 0 { self.waits_us + by_us } else { 0 };
        self.waits_us > within_us
    }
}

impl Honoured {
    /// For that machine.
    pub fn new(hardware: &Hardware) -> Self {
        Self {
            within_us: HONOURED_WITHIN_TICKS * hardware.tick_period_us,
            cpus: vec![Cpu::default(); hardware.cpus],
            items: BTreeMap::new(),
        }
    }

    fn parks(&self, cpu: usize, in_nmi: bool) -> Result<(), Violation> {
        match (in_nmi, self.cpus[cpu].may_park) {
            (false, _) => Err(broken(format!("CPU {cpu} parks outside an NMI"))),
            (true, false) => Err(broken(format!("CPU {cpu} parks, and nobody has asked it to"))),
            (true, true) => Ok(()),
        }
    }
}

fn broken(text: String) -> Violation {
    Violation::new(Property::H, text)
}

impl Monitor for Honoured {
    fn note(&mut self, _: u64, fact: &Fact) -> Result<(), Violation> {
        match *fact {
            Fact::SendBegan { to } => self.cpus[to].unfinished += 1,
            Fact::AsksToPark { to } => self.cpus[to].may_park = true,
            Fact::SendEnded { to, accepted } => {
                let cpu = &mut self.cpus[to];
                cpu.unfinished -= 1;
                if accepted {
                    cpu.sends.accept();
                }
            }
            Fact::Served { cpu, asked: sends, .. } => self.cpus[cpu].sends.done(sends),
            Fact::Dropped { cpu, sends } => {
                let most = self.cpus[cpu].sends.balance + i16::from(self.cpus[cpu].unfinished);
                self.cpus[cpu].sends.done(sends.min(most.max(0) as usize));
            }
            Fact::QueueEnded { item, anew: true } => self.items.entry(item).or_default().accept(),
            Fact::Ran(item) => self.items.entry(item).or_default().done(1),
            Fact::Parks { cpu, in_nmi } => return self.parks(cpu, in_nmi),
            Fact::CameOnline(cpu) => {
                let cpu = &mut self.cpus[cpu];
                cpu.may_park &= cpu.unfinished != 0;
            }
            Fact::StormBegan(cpu) => self.cpus[cpu].in_storms += 1,
            Fact::StormEnded(cpu) => self.cpus[cpu].in_storms -= 1,
            Fact::Hung(cpu) => {
                let unfinished = self.cpus[cpu].unfinished;
                self.cpus[cpu] = Cpu { hangs: true, unfinished, ..Cpu::default() };
            }
            Fact::Passed { by_us, deaf, ticking, .. } => {
                for (number, cpu) in self.cpus.iter_mut().enumerate() {
                    let open_us = if deaf.has(number) || cpu.hangs { 0 } else { by_us };
                    if cpu.sends.passed(open_us, self.within_us) {
                        return Err(broken(format!("CPU {number} does not serve a send")));
                    }
                }
                let ticking_us = if ticking.0 == 0 { 0 } else { by_us };
                for (number, item) in &mut self.items {
                    if item.passed(ticking_us, self.within_us) {
                        return Err(broken(format!("item {number} was queued and does not run")));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), Violation> {
        match self.cpus.iter().position(|cpu| cpu.in_storms != 0) {
            Some(cpu) => Err(broken(format!("the end of a storm on CPU {cpu} is never told"))),
            None => Ok(()),
        }
    }

    fn fold(&self, fingerprint: &mut Fingerprint) {
        self.cpus.hash(fingerprint);
        self.items.hash(fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::{passed, verdict};
    use super::*;

    const BEGAN: Fact = Fact::SendBegan { to: 0 };
    const ACCEPTED: Fact = Fact::SendEnded { to: 0, accepted: true };
    const SERVED: Fact = Fact::Served { cpu: 0, sends: 1, asked: 1 };
    const QUEUED: Fact = Fact::QueueEnded { item: 0, anew: true };

    fn judge(history: &[Fact]) -> Result<(), Property> {
        let hardware = Hardware { cpus: 1, ..Hardware::BARE };
        verdict(Honoured::new(&hardware), history).map_err(|violation| violation.property)
    }

    #[test]
    fn a_send_is_served_in_time() {
        assert_eq!(judge(&[BEGAN, ACCEPTED, passed(5_000), SERVED, passed(9_000)]), Ok(()));
        assert_eq!(judge(&[BEGAN, ACCEPTED, passed(5_001)]), Err(Property::H));
        assert_eq!(judge(&[BEGAN, SERVED, ACCEPTED, passed(9_000)]), Ok(()));
        assert_eq!(judge(&[BEGAN, ACCEPTED, Fact::Hung(0), passed(9_000)]), Ok(()));
    }

    #[test]
    fn an_item_runs_in_time() {
        assert_eq!(judge(&[QUEUED, passed(5_000), Fact::Ran(0), passed(9_000)]), Ok(()));
        assert_eq!(judge(&[QUEUED, passed(5_001)]), Err(Property::H));
    }

    #[test]
    fn a_cpu_parks_in_an_nmi_if_it_was_asked_to_in_this_life() {
        let asked = [BEGAN, Fact::AsksToPark { to: 0 }, ACCEPTED];
        let parks = |in_nmi| Fact::Parks { cpu: 0, in_nmi };
        assert_eq!(judge(&[&asked[..], &[SERVED, parks(true)]].concat()), Ok(()));
        assert_eq!(judge(&[&asked[..], &[SERVED, parks(false)]].concat()), Err(Property::H));
        assert_eq!(judge(&[parks(true)]), Err(Property::H));
        let back = [&asked[..], &[SERVED, Fact::CameOnline(0), parks(true)]].concat();
        assert_eq!(judge(&back), Err(Property::H));
    }

    #[test]
    fn a_storm_has_an_end() {
        assert_eq!(judge(&[Fact::StormBegan(0), Fact::StormEnded(0)]), Ok(()));
        let found = verdict(Honoured::new(&Hardware::BARE), &[Fact::StormBegan(0)]);
        assert!(found.is_err());
    }
}
