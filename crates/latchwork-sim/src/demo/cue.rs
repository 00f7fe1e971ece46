// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cues: what the environment does and when, in terms that mean the same for every policy.
//!
//! A [trace](crate::engine::Trace) counts one policy's own accesses, so it says nothing to another.
//! A cue names what the machine itself knows: that all CPUs rest, that an edge is under way, that a
//! CPU is in its first NMI and has acknowledged its counters.

use crate::{
    engine::{Director, Event},
    event_log::{self, Logged},
    machine::{BEGINNING_US, Bell, Fact, Happening, Occurrence, current},
};

/// Something that the environment does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cue {
    pub(super) does: Does,
    pub(super) when: When,
}

/// What it does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Does {
    /// One of the scenario's happenings.
    Happens(Happening),
    /// An edge that is under way reaches that CPU.
    Lands(usize, Bell),
}

/// When the director gives a cue, once it has given all cues before it.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    /// As soon as no CPU has anything to do, but not before that time after the beginning.
    AtRest { from_us: u64 },
    /// As soon as no CPU has anything to do, while an edge is under way to that CPU.
    UnderWay { cpu: usize, bell: Bell },
    /// While a CPU is in its n-th NMI, counted from 1, at any place there from that stage on.
    InNmi { cpu: usize, nth: usize, from: Stage },
    /// Before anything else happens.
    AtOnce,
}

/// How far a CPU has come in handling an NMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The CPU has taken it.
    Taken,
    /// Its handler has acknowledged a condition behind that doorbell.
    Acknowledged(Bell),
}

impl When {
    /// Whether a policy's code has several places at which this holds.
    pub(super) const fn is_free(self) -> bool {
        matches!(self, Self::InNmi { .. })
    }

    fn is_now(self, everybody_rests: bool) -> bool {
        match self {
            Self::AtRest { from_us } => {
                everybody_rests && current().with(|state| state.now_us) >= BEGINNING_US + from_us
            }
            Self::UnderWay { cpu, bell } => {
                let is_under_way = current().with(|state| state.wire.count(cpu, bell) != 0);
                everybody_rests && is_under_way
            }
            Self::InNmi { cpu, nth, from } => is_in_nmi(cpu, nth, from),
            Self::AtOnce => true,
        }
    }
}

fn is_in_nmi(number: usize, nth: usize, from: Stage) -> bool {
    event_log::with_entries(|entries| {
        let (mut taken, mut stage) = (0, None);
        for one in entries {
            match one.what {
                Logged::Fact(Fact::Taken { cpu, .. }) if cpu == number => {
                    taken += 1;
                    stage = Some(Stage::Taken);
                }
                Logged::Fact(Fact::Ended { cpu, .. }) if cpu == number => stage = None,
                Logged::Fact(Fact::Consumed { condition, cpu }) if cpu == number => {
                    let bell = condition.bell();
                    stage = stage.map(|_| Stage::Acknowledged(bell));
                }
                _ => {}
            }
        }
        taken == nth && stage.is_some_and(|stage| from == Stage::Taken || from == stage)
    })
}

/// The director that gives cues.
pub(super) struct Cues<'a> {
    cues: &'a [Cue],
    /// How many places it passes over for each cue before it gives that cue.
    skips: &'a [usize],
    passed: usize,
    /// When it gave each cue, in microseconds after the beginning.
    pub(super) given_us: Vec<u64>,
    is_off: bool,
}

impl<'a> Cues<'a> {
    pub(super) fn new(cues: &'a [Cue], skips: &'a [usize]) -> Self {
        Self { cues, skips, passed: 0, given_us: Vec::new(), is_off: false }
    }

    /// How many cues it has given.
    pub(super) fn given(&self) -> usize {
        self.given_us.len()
    }
}

impl Director for Cues<'_> {
    fn choose(&mut self, events: &[Event], everybody_rests: bool) -> Option<Event> {
        let next = self.given();
        let cue = self.cues.get(next).filter(|_| !self.is_off)?;
        let event = event_of(cue.does);
        let event = event.filter(|event| events.contains(event));
        let event = event.filter(|_| cue.when.is_now(everybody_rests));
        if event.is_none() {
            self.is_off = matches!(cue.when, When::AtOnce);
            return None;
        }
        if self.passed < self.skips[next] {
            self.passed += 1;
            return None;
        }
        self.passed = 0;
        self.given_us.push(current().with(|state| state.now_us) - BEGINNING_US);
        event
    }
}

fn event_of(does: Does) -> Option<Event> {
    let occurrence = match does {
        Does::Lands(cpu, bell) => Occurrence::Land(cpu, bell),
        Does::Happens(happening) => {
            let happenings = current().happenings;
            Occurrence::Happens(happenings.iter().position(|(one, _)| *one == happening)?)
        }
    };
    Some(occurrence.event())
}
