// SPDX-License-Identifier: MIT OR Apache-2.0
//! What our policy did instead, found in the event log. Where the log does not show it, the demo
//! fails.

use super::words;
use crate::{
    engine::Interruption,
    event_log::{Deed, LogEntry, Logged},
    machine::{BEGINNING_US, Condition, Fact, Reported, TICK_VECTOR},
};

/// What our policy is to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Instead {
    /// A tick finds that condition, whose ring was lost.
    Recovers(Condition),
    /// It absorbs an edge, and reports nothing.
    Absorbs,
    /// It makes one report, of what rang without a source.
    ReportsOnce,
    /// It claims these conditions in one NMI.
    ClaimsTogether(&'static [Condition]),
}

/// Where the log shows it.
pub(super) struct Seen {
    pub(super) sentence: String,
    /// The place in the log at which it was done.
    pub(super) done: usize,
    /// The place at which the interruption ends in which it was done.
    pub(super) end: usize,
}

impl Instead {
    /// Looks for it in the log.
    pub(super) fn seen_in(self, entries: &[LogEntry]) -> Result<Seen, String> {
        let seen = match self {
            Self::Recovers(condition) => recovery(entries, condition),
            Self::Absorbs => absorption(entries),
            Self::ReportsOnce => report(entries),
            Self::ClaimsTogether(conditions) => together(entries, conditions),
        };
        let (done, sentence) =
            seen.ok_or_else(|| format!("Latchwork does not do this: {self:?}"))?;
        let is_end =
            |one: &LogEntry| one.by == entries[done].by && matches!(one.what, Logged::Leaves(_));
        let end =
            entries[done..].iter().position(is_end).map_or(entries.len() - 1, |after| done + after);
        Ok(Seen { sentence, done, end })
    }
}

/// The rest of the log, in one line.
pub(super) fn rest(entries: &[LogEntry]) -> String {
    let (ticks, nmis) = (count(entries, is_tick), count(entries, |what| is_fact(what, is_taken)));
    let until_us = entries.last().map_or(0, |one| one.at_us - BEGINNING_US);
    format!(
        "Then, until {until_us} us: ticks {ticks}, NMIs {nmis}, reports {}.",
        reports(entries).count()
    )
}

fn count(entries: &[LogEntry], is_it: impl Fn(&Logged) -> bool) -> usize {
    entries.iter().filter(|one| is_it(&one.what)).count()
}

fn is_fact(what: &Logged, is_it: impl Fn(&Fact) -> bool) -> bool {
    matches!(what, Logged::Fact(fact) if is_it(fact))
}

const fn is_taken(fact: &Fact) -> bool {
    matches!(fact, Fact::Taken { .. })
}

fn is_tick(what: &Logged) -> bool {
    *what == Logged::Enters(Interruption::Irq(TICK_VECTOR))
}

fn reports(entries: &[LogEntry]) -> impl Iterator<Item = usize> {
    let is_report = |fact: &Fact| matches!(fact, Fact::Report { reported: Reported::Unknown, .. });
    (0..entries.len()).filter(move |place| is_fact(&entries[*place].what, is_report))
}

fn recovery(entries: &[LogEntry], condition: Condition) -> Option<(usize, String)> {
    let place =
        |is_it: &dyn Fn(&Fact) -> bool| entries.iter().position(|one| is_fact(&one.what, is_it));
    let set = place(&|fact| *fact == Fact::Set(condition))?;
    let consumed =
        place(&|fact| matches!(fact, Fact::Consumed { condition: it, .. } if *it == condition))?;
    let ticks = count(entries.get(set..consumed)?, is_tick);
    let is_deed = |one: &LogEntry| one.what == Logged::Does(Deed::Recovered(1));
    let done = consumed + entries[consumed..].iter().position(is_deed)?;
    if ticks == 0 {
        return None;
    }
    let after_us = entries[consumed].at_us - entries[set].at_us;
    let (condition, nth) = (words::condition(condition), words::ordinal(ticks));
    let sentence = format!(
        "The {nth} tick finds {condition}, {after_us} us after it was set: a poll was owed, and \
         that tick pays it."
    );
    Some((done, sentence))
}

fn absorption(entries: &[LogEntry]) -> Option<(usize, String)> {
    let mut absorbed = entries.iter().enumerate().filter_map(|(place, one)| match one.what {
        Logged::Does(Deed::Absorbed(kind)) => Some((place, kind)),
        _ => None,
    });
    let (place, kind) = absorbed.next()?;
    let is_all = absorbed.next().is_none() && reports(entries).next().is_none();
    let grant = words::grant(kind);
    is_all.then(|| {
        (
            place,
            format!("The edge that finds nothing is absorbed by a {grant}; nothing is reported."),
        )
    })
}

fn report(entries: &[LogEntry]) -> Option<(usize, String)> {
    let pressed = entries.iter().position(|one| one.what == Logged::Fact(Fact::Pressed))?;
    let mut reports = reports(entries);
    let report = reports.next().filter(|report| *report > pressed)?;
    let after_us = entries[report].at_us - entries[pressed].at_us;
    let sentence = format!(
        "The true unknown is reported, once, {after_us} us after it rang: no grant hides it."
    );
    reports.next().is_none().then_some((report, sentence))
}

fn together(entries: &[LogEntry], conditions: &[Condition]) -> Option<(usize, String)> {
    let mut claimed = Vec::new();
    for (place, one) in entries.iter().enumerate() {
        match one.what {
            Logged::Fact(Fact::Taken { .. }) => claimed.clear(),
            Logged::Fact(Fact::Consumed { condition, .. }) => claimed.push(condition),
            Logged::Fact(Fact::Ended { .. })
                if conditions.iter().all(|it| claimed.contains(it)) =>
            {
                let names: Vec<_> = conditions.iter().map(|it| words::condition(*it)).collect();
                return Some((place, format!("One NMI claims {}.", names.join(" and "))));
            }
            _ => {}
        }
    }
    None
}
