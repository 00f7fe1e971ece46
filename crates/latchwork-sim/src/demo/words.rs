// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens, in plain words.

use latchwork::GrantKind;

use super::cue::{Cue, Does, Stage, When};
use crate::{
    engine::Property,
    event_log::Deed,
    machine::{Bell, Condition, Edge, Happening, pmu::bit, port61},
    policy::{Action, Ask},
};

/// What a kernel calls what it sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    /// An NMI sent by software.
    pub(super) send: &'a str,
}

impl Words<'_> {
    pub(super) fn bell(self, bell: Bell) -> String {
        match bell {
            Bell::Software | Bell::LateSoftware => self.send.to_owned(),
            Bell::Button => "NMI button".to_owned(),
            Bell::Lvt | Bell::Port61 | Bell::External(_) => bell.to_string(),
        }
    }

    pub(super) fn edge(self, edge: Edge) -> String {
        let bells: Vec<_> = edge.bells().map(|bell| self.bell(bell)).collect();
        bells.join(" + ")
    }

    /// A cue, in one line.
    pub(super) fn cue(self, cue: Cue) -> String {
        let does = match cue.does {
            Does::Happens(happening) => self::happening(happening),
            Does::Lands(cpu, bell) => format!("the edge of {} reaches CPU {cpu}", self.bell(bell)),
        };
        let when = match cue.when {
            When::AtRest { .. } => "while nothing runs".to_owned(),
            When::UnderWay { cpu, .. } => {
                format!("while the {} for CPU {cpu} is under way", self.send)
            }
            When::InNmi { cpu, nth, from: Stage::Taken } => {
                format!("while CPU {cpu} handles its {} NMI", ordinal(nth))
            }
            When::InNmi { cpu, nth, from: Stage::Acknowledged(bell) } => {
                let nth = ordinal(nth);
                format!(
                    "while CPU {cpu} handles its {nth} NMI, with that {} acknowledged",
                    self.bell(bell)
                )
            }
            When::AtOnce => "right then".to_owned(),
        };
        format!("{does}, {when}")
    }
}

pub(super) fn ordinal(nth: usize) -> String {
    match nth {
        1 => "first".to_owned(),
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        _ => format!("{nth}th"),
    }
}

pub(super) fn happening(happening: Happening) -> String {
    match happening {
        Happening::Overflow { cpu, bit: bit::TOPA } => format!("CPU {cpu}'s trace buffer is full"),
        Happening::Overflow { cpu, .. } => format!("a counter of CPU {cpu} overflows"),
        Happening::AssertPort61(port61::bit::SERR) => "SERR raises port 0x61's line".to_owned(),
        Happening::AssertPort61(_) => "IOCHK raises port 0x61's line".to_owned(),
        Happening::Press => "the NMI button is pressed".to_owned(),
        other => other.to_string(),
    }
}

pub(super) fn condition(condition: Condition) -> String {
    match condition {
        Condition::Counter { cpu, bit: bit::TOPA } => format!("CPU {cpu}'s full trace buffer"),
        Condition::Counter { cpu, .. } => format!("the overflow of CPU {cpu}'s counter"),
        Condition::Port61(port61::bit::SERR) => "port 0x61's SERR".to_owned(),
        other => other.to_string(),
    }
}

/// What a handler has found.
pub(super) fn status(condition: Condition) -> String {
    match condition {
        Condition::Counter { bit: bit::TOPA, .. } => "trace buffer".to_owned(),
        Condition::Counter { .. } => "counter".to_owned(),
        Condition::Port61(port61::bit::SERR) => "SERR".to_owned(),
        other => other.to_string(),
    }
}

pub(super) fn action(action: Action) -> String {
    match action {
        Action::Send { to, ask: Ask::Stop } => format!("tells CPU {to} to stop"),
        other => format!("{other:?}"),
    }
}

pub(super) fn deed(deed: Deed) -> String {
    match deed {
        Deed::Absorbed(kind) => format!("absorbed: grant {kind:?}"),
        Deed::PaidByPoll => "a poll is owed, and paid".to_owned(),
        Deed::SentProbe => "sends itself a probe".to_owned(),
        Deed::Recovered(conditions) => format!("recovered: {conditions} lost event"),
    }
}

/// Why an edge may be absorbed.
pub(super) fn grant(kind: GrantKind) -> String {
    let why = match kind {
        GrantKind::Collapsed => "several claims for one edge",
        GrantKind::Late => "a ring that may come late",
        GrantKind::MachineWide => "a claim on another CPU",
        GrantKind::OutsideNmi => "a claim outside NMIs",
    };
    format!("grant {kind:?} ({why})")
}

pub(super) const fn property(property: Property) -> &'static str {
    match property {
        Property::L => "no external event is stranded",
        Property::N1 => "no unknown NMI is reported when none was raised",
        Property::N2 => {
            "no edge is absorbed later than its bound after the claim that explains \
                         it"
        }
        Property::N3 => "a repeating true unknown NMI is reported in time",
        Property::C => {
            "each condition is claimed or still set, and a CPU's own is claimed in the end"
        }
        Property::W => "dispatch is bounded",
        Property::Q => "nothing runs after its removal",
        Property::D => "every queued item runs exactly once",
        Property::H => "what is accepted is honoured",
        Property::Deadlock => "not everybody waits for somebody",
        Property::Panic => "nothing panics",
    }
}
