// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happened, as the few lines that matter to a story.

use super::words::{self, Words};
use crate::{
    engine::Interruption,
    event_log::{Deed, LogEntry, Logged},
    machine::{
        BEGINNING_US, Bell, Condition, Doing, Edge, Ending, Fact, Happening, Occurrence, Reported,
        TICK_VECTOR,
    },
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
    /// The place in the log of the entry that it shows.
    pub(super) place: usize,
    pub(super) weight: Weight,
    /// For an edge that comes to a CPU: that CPU, and how the edge finds its latch.
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

/// How the log becomes lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) cpus: usize,
    /// The scenario's happenings.
    pub(super) happenings: &'static [(Happening, u8)],
    pub(super) words: Words<'static>,
    /// The policy is ours: it owes a poll where it skips the machine-wide handlers.
    pub(super) is_ours: bool,
    /// The policy itself says which handlers it asks, and what they find.
    pub(super) names_handlers: bool,
    /// The beginnings of what the policy says and the lines leave out.
    pub(super) hidden: &'static [&'static str],
}

impl Manner {
    fn hides(&self, text: &str) -> bool {
        self.hidden.iter().any(|hidden| text.starts_with(hidden))
    }
}

/// The log as lines.
pub(super) fn lines(entries: &[LogEntry], manner: Manner) -> Vec<Line> {
    let mut builder = LineBuilder {
        manner,
        lines: Vec::new(),
        cpus: vec![Cpu::default(); manner.cpus],
        at_us: 0,
        place: 0,
        attends_platform: false,
    };
    for (place, one) in entries.iter().enumerate() {
        builder.at_us = one.at_us - BEGINNING_US;
        builder.place = place;
        match one.by {
            Some(cpu) => builder.software(cpu, &one.what),
            None => builder.environment(&one.what, entries.get(place + 1)),
        }
        if let Logged::Landed { cpu, bell, latched, is_blocked } = one.what {
            builder.lands(cpu, bell, latched, is_blocked);
        }
    }
    without_idle_ticks(builder.lines)
}

struct LineBuilder {
    manner: Manner,
    lines: Vec<Line>,
    cpus: Vec<Cpu>,
    at_us: u64,
    place: usize,
    /// A machine-wide handler is registered.
    attends_platform: bool,
}

#[derive(Clone, Default)]
struct Cpu {
    /// Where the tick in progress begins in the lines.
    tick_from: Option<usize>,
    /// The policy has asked a machine-wide handler in this NMI.
    asked_platform: bool,
    /// What the handler in progress has consumed.
    consumed: Vec<Condition>,
}

impl LineBuilder {
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

    fn environment(&mut self, what: &Logged, next: Option<&LogEntry>) {
        match *what {
            Logged::Fact(Fact::Attended(bell)) => self.attends_platform |= is_platform(bell),
            Logged::Event(Occurrence::Happens(place)) => {
                let (happening, _) = self.manner.happenings[place];
                let lands = next.is_some_and(|next| matches!(next.what, Logged::Landed { .. }));
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
            // A counter's edge lands as soon as the counter overflows.
            Some(line) if latch == Latch::Open && line.place + 1 == self.place => {
                line.text += &format!(": {bell}");
            }
            _ => self.line(self.manner.cpus, Mark::None, text),
        }
        if let Some(line) = self.lines.last_mut() {
            line.edge = Some((cpu, latch));
        }
    }

    fn software(&mut self, cpu: usize, what: &Logged) {
        match what {
            Logged::Fact(fact) => self.fact(cpu, fact),
            Logged::Enters(Interruption::Irq(TICK_VECTOR)) => {
                self.cpus[cpu].tick_from = Some(self.lines.len());
                self.line(cpu, Mark::Opens, TICK);
            }
            Logged::Leaves(Interruption::Irq(TICK_VECTOR)) => self.tick_ends(cpu),
            Logged::Acts(action) => self.line(cpu, Mark::None, words::action(*action)),
            Logged::Remains(Doing::Parked { until_us }) => {
                let until_us = until_us - BEGINNING_US;
                self.line(cpu, Mark::None, format!("stops, until {until_us} us"));
            }
            Logged::Says(text) if !self.manner.hides(text) => {
                self.line(cpu, Mark::None, text.clone());
            }
            Logged::Does(deed) => self.deed(cpu, *deed),
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

    /// Makes one line of a tick in which nothing happened. Otherwise the tick's last line ends it.
    fn tick_ends(&mut self, cpu: usize) {
        let Some(from) = self.cpus[cpu].tick_from.take() else { return };
        if from + 1 == self.lines.len() {
            self.lines[from].mark = Mark::None;
        } else if !self.closes_with_last(cpu) {
            self.line(cpu, Mark::Closes, "tick ends");
        }
    }

    /// Makes the last line, if it is this CPU's own, the end of the interruption that the CPU is
    /// in.
    fn closes_with_last(&mut self, cpu: usize) -> bool {
        let last = self.lines.last_mut();
        let last = last.filter(|line| line.column == cpu && line.mark == Mark::None);
        last.map(|line| line.mark = Mark::Closes).is_some()
    }
}

const fn is_platform(bell: Bell) -> bool {
    matches!(bell, Bell::Port61 | Bell::External(_))
}

/// Drops the ticks that find nothing to do, but keeps those after the last NMI.
fn without_idle_ticks(lines: Vec<Line>) -> Vec<Line> {
    let last = lines.iter().rposition(|line| line.mark == Mark::Closes).unwrap_or(0);
    let is_kept = |(place, line): &(usize, Line)| {
        *place > last || line.mark != Mark::None || line.text != TICK
    };
    lines.into_iter().enumerate().filter(is_kept).map(|(_, line)| line).collect()
}

/// The conditions that are set in the end, as lines of the machine's.
pub(super) fn still_set(entries: &[LogEntry], cpus: usize) -> Vec<Line> {
    let mut set: Vec<Condition> = Vec::new();
    for one in entries {
        match one.what {
            Logged::Fact(Fact::Set(condition)) => set.push(condition),
            Logged::Fact(Fact::Consumed { condition, .. }) => set.retain(|it| *it != condition),
            _ => {}
        }
    }
    let at_us = entries.last().map_or(0, |one| one.at_us - BEGINNING_US);
    let line = |it: &Condition| Line {
        at_us,
        column: cpus,
        mark: Mark::None,
        text: format!("{} is still set", words::condition(*it)),
        place: entries.len(),
        weight: Weight::Normal,
        edge: None,
    };
    set.iter().map(line).collect()
}
