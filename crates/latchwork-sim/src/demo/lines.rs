// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happened, as the few lines that matter to a story.

use super::words::{self, Words};
use crate::{
    engine::Interruption,
    machine::{
        BEGINNING_US, Bell, Condition, Doing, Edge, Ending, Fact, Happening, Occurrence, Reported,
        TICK_VECTOR,
    },
    telling::{Deed, Told, What},
};

/// One line, in one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Microseconds after the beginning.
    pub(super) at_us: u64,
    /// The CPU, or the number of CPUs for the machine.
    pub(super) column: usize,
    pub(super) mark: Mark,
    pub(super) text: String,
    /// What it is of, counted from the first thing that was told.
    pub(super) place: usize,
    pub(super) weight: Weight,
    /// For an edge that comes to a CPU, which, and how it finds the latch.
    pub(super) edge: Option<(usize, Latch)>,
}

/// What a line is to the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Normal,
    /// Here it goes wrong.
    Wrong,
    /// Here it is put right.
    Right,
}

/// How an edge finds a CPU's latch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Latch {
    /// The CPU takes it at once.
    Open,
    /// It is remembered.
    Remembers,
    /// Another edge is remembered, and they become one.
    Collapses,
}

/// A tick, and all that there is to say of one that finds nothing to do.
const TICK: &str = "tick";

/// What a line is to those around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// An interruption begins.
    Opens,
    /// It ends.
    Closes,
    /// Neither.
    None,
}

/// How to tell it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) cpus: usize,
    /// The scenario's.
    pub(super) happenings: &'static [(Happening, u8)],
    pub(super) words: Words<'static>,
    /// The policy is ours: it owes a poll where it skips the machine-wide handlers.
    pub(super) is_ours: bool,
    /// The policy itself says which handlers it asks, and what they find.
    pub(super) names_handlers: bool,
    /// What the policy says that is left out, by how it begins.
    pub(super) hidden: &'static [&'static str],
}

impl Manner {
    fn hides(&self, text: &str) -> bool {
        self.hidden.iter().any(|hidden| text.starts_with(hidden))
    }
}

/// All that was told, as lines.
pub(super) fn lines(told: &[Told], manner: Manner) -> Vec<Line> {
    let mut teller = Teller {
        manner,
        lines: Vec::new(),
        cpus: vec![Cpu::default(); manner.cpus],
        at_us: 0,
        place: 0,
        attends_platform: false,
    };
    for (place, one) in told.iter().enumerate() {
        teller.at_us = one.at_us - BEGINNING_US;
        teller.place = place;
        match one.by {
            Some(cpu) => teller.software(cpu, &one.what),
            None => teller.environment(&one.what, told.get(place + 1)),
        }
        if let What::Landed { cpu, bell, latched, is_blocked } = one.what {
            teller.lands(cpu, bell, latched, is_blocked);
        }
    }
    without_idle_ticks(teller.lines)
}

struct Teller {
    manner: Manner,
    lines: Vec<Line>,
    cpus: Vec<Cpu>,
    at_us: u64,
    place: usize,
    /// A machine-wide handler is there.
    attends_platform: bool,
}

#[derive(Clone, Default)]
struct Cpu {
    /// Where the tick that is handled begins in the lines.
    tick_from: Option<usize>,
    /// A machine-wide handler was asked in this NMI.
    asked_platform: bool,
    /// What the handler that is asked has consumed.
    consumed: Vec<Condition>,
}

impl Teller {
    fn line(&mut self, column: usize, mark: Mark, text: impl Into<String>) {
        let (at_us, place, text) = (self.at_us, self.place, text.into());
        self.lines.push(Line {
            at_us,
            column,
            mark,
            text,
            place,
            weight: Weight::Normal,
            edge: None,
        });
    }

    fn environment(&mut self, what: &What, next: Option<&Told>) {
        match *what {
            What::Fact(Fact::Attended(bell)) => self.attends_platform |= is_platform(bell),
            What::Event(Occurrence::Happens(place)) => {
                let (happening, _) = self.manner.happenings[place];
                let lands = next.is_some_and(|next| matches!(next.what, What::Landed { .. }));
                let text = words::happening(happening);
                let text = match happening {
                    Happening::Overflow { .. } if !lands => {
                        format!("{text}; PMIs are masked, no edge")
                    }
                    _ => text,
                };
                self.line(self.manner.cpus, Mark::None, text);
            }
            _ => {}
        }
    }

    fn lands(&mut self, cpu: usize, bell: Bell, latched: Edge, is_blocked: bool) {
        let bell = self.manner.words.bell(bell);
        let (latch, text) = match (latched.is_none(), is_blocked) {
            (true, false) => (Latch::Open, format!("edge of {bell} reaches CPU {cpu}")),
            (true, true) => {
                (Latch::Remembers, format!("edge of {bell} waits in CPU {cpu}'s latch"))
            }
            (false, _) => {
                let latched = self.manner.words.edge(latched);
                (Latch::Collapses, format!("edge of {bell} collapses into that of {latched}"))
            }
        };
        match self.lines.last_mut() {
            // A counter's edge is there as soon as it overflows.
            Some(line) if latch == Latch::Open && line.place + 1 == self.place => {
                line.text += &format!(": {bell}");
            }
            _ => self.line(self.manner.cpus, Mark::None, text),
        }
        if let Some(line) = self.lines.last_mut() {
            line.edge = Some((cpu, latch));
        }
    }

    fn software(&mut self, cpu: usize, what: &What) {
        match what {
            What::Fact(fact) => self.fact(cpu, fact),
            What::Enters(Interruption::Irq(TICK_VECTOR)) => {
                self.cpus[cpu].tick_from = Some(self.lines.len());
                self.line(cpu, Mark::Opens, TICK);
            }
            What::Leaves(Interruption::Irq(TICK_VECTOR)) => self.tick_ends(cpu),
            What::Acts(action) => self.line(cpu, Mark::None, words::action(*action)),
            What::Remains(Doing::Parked { until_us }) => {
                let until_us = until_us - BEGINNING_US;
                self.line(cpu, Mark::None, format!("stops, until {until_us} us"));
            }
            What::Says(text) if !self.manner.hides(text) => {
                self.line(cpu, Mark::None, text.clone());
            }
            What::Does(deed) => self.deed(cpu, *deed),
            _ => {}
        }
    }

    fn fact(&mut self, cpu: usize, fact: &Fact) {
        match *fact {
            Fact::Taken { edge, .. } => {
                self.cpus[cpu].asked_platform = false;
                let edge = self.manner.words.edge(edge);
                self.line(cpu, Mark::Opens, format!("NMI: {edge}"));
            }
            Fact::Called(bell) => {
                self.cpus[cpu].asked_platform |= is_platform(bell);
                self.cpus[cpu].consumed.clear();
            }
            Fact::Consumed { condition, .. } => self.cpus[cpu].consumed.push(condition),
            Fact::Returned(bell) => self.asked(cpu, bell),
            Fact::Served { .. } if self.manner.is_ours => {
                let send = self.manner.words.send;
                self.line(cpu, Mark::None, format!("takes the request: {send}"));
            }
            Fact::Report { reported: Reported::Unknown, .. } => {
                self.line(cpu, Mark::None, "unknown: reported");
            }
            Fact::Ended { ending, .. } => self.ended(cpu, ending),
            _ => {}
        }
    }

    fn asked(&mut self, cpu: usize, bell: Bell) {
        if self.manner.names_handlers {
            return;
        }
        let found: Vec<_> = self.cpus[cpu].consumed.drain(..).map(words::status).collect();
        let found = if found.is_empty() { "nothing".to_owned() } else { found.join(" and ") };
        self.line(cpu, Mark::None, format!("asks {bell}: {found}"));
    }

    fn ended(&mut self, cpu: usize, ending: Ending) {
        let owes = self.manner.is_ours
            && self.attends_platform
            && !self.cpus[cpu].asked_platform
            && ending == Ending::Claimed;
        let text = match ending {
            Ending::Claimed if owes => "claimed; owes a poll",
            Ending::Claimed => "claimed",
            Ending::Absorbed if self.manner.is_ours && self.closes_with_last(cpu) => return,
            Ending::Absorbed => "absorbed, not reported",
            Ending::Deferred => "deferred",
            Ending::Unknown if self.closes_with_last(cpu) => return,
            Ending::Unknown => "unknown",
            Ending::TurnedAway => "turned away",
        };
        self.line(cpu, Mark::Closes, text);
    }

    fn deed(&mut self, cpu: usize, deed: Deed) {
        let text = words::deed(deed);
        match (deed, self.cpus[cpu].tick_from) {
            (Deed::PaidByPoll | Deed::SentProbe, Some(from)) => {
                self.lines[from].text = format!("tick: {text}");
            }
            _ => self.line(cpu, Mark::None, text),
        }
    }

    /// A tick in which nothing happens is one line. Otherwise the last line of it ends it.
    fn tick_ends(&mut self, cpu: usize) {
        let Some(from) = self.cpus[cpu].tick_from.take() else { return };
        if from + 1 == self.lines.len() {
            self.lines[from].mark = Mark::None;
        } else if !self.closes_with_last(cpu) {
            self.line(cpu, Mark::Closes, "tick ends");
        }
    }

    /// Makes the last line the end of what this CPU is in, if it is the CPU's own.
    fn closes_with_last(&mut self, cpu: usize) -> bool {
        let last = self.lines.last_mut();
        let last = last.filter(|line| line.column == cpu && line.mark == Mark::None);
        last.map(|line| line.mark = Mark::Closes).is_some()
    }
}

const fn is_platform(bell: Bell) -> bool {
    matches!(bell, Bell::Port61 | Bell::External(_))
}

/// Without the ticks that find nothing to do, but for those after the last NMI.
fn without_idle_ticks(lines: Vec<Line>) -> Vec<Line> {
    let last = lines.iter().rposition(|line| line.mark == Mark::Closes).unwrap_or(0);
    let is_told = |(place, line): &(usize, Line)| {
        *place > last || line.mark != Mark::None || line.text != TICK
    };
    lines.into_iter().enumerate().filter(is_told).map(|(_, line)| line).collect()
}

/// The conditions that are set in the end, as lines of the machine's.
pub(super) fn still_set(told: &[Told], cpus: usize) -> Vec<Line> {
    let mut set: Vec<Condition> = Vec::new();
    for one in told {
        match one.what {
            What::Fact(Fact::Set(condition)) => set.push(condition),
            What::Fact(Fact::Consumed { condition, .. }) => set.retain(|it| *it != condition),
            _ => {}
        }
    }
    let at_us = told.last().map_or(0, |one| one.at_us - BEGINNING_US);
    let line = |it: &Condition| Line {
        at_us,
        column: cpus,
        mark: Mark::None,
        text: format!("{} is still set", words::condition(*it)),
        place: told.len(),
        weight: Weight::Normal,
        edge: None,
    };
    set.iter().map(line).collect()
}
