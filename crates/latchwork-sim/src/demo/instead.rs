// SPDX-License-Identifier: MIT OR Apache-2.0
//! What ours did instead, as it is seen in what happened. If it is not seen, there is no story.

use super::words;
use crate::{
    engine::Interruption,
    machine::{BEGINNING_US, Condition, Fact, Reported, TICK_VECTOR},
    telling::{Deed, Told, What},
};

/// What ours is to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Instead {
    /// A tick finds that condition, whose ring was lost.
    Recovers(Condition),
    /// An edge is absorbed, and nothing reported.
    Absorbs,
    /// One report is made, of what rang without a source.
    ReportsOnce,
    /// These conditions are claimed in one NMI.
    ClaimsTogether(&'static [Condition]),
}

/// That it was seen.
pub(super) struct Seen {
    pub(super) sentence: String,
    /// Where it was done, counted from the first thing that was told.
    pub(super) done: usize,
    /// Where the interruption ends in which it was done.
    pub(super) end: usize,
}

impl Instead {
    /// Looks for it.
    pub(super) fn seen_in(self, told: &[Told]) -> Result<Seen, String> {
        let seen = match self {
            Self::Recovers(condition) => recovery(told, condition),
            Self::Absorbs => absorption(told),
            Self::ReportsOnce => report(told),
            Self::ClaimsTogether(conditions) => together(told, conditions),
        };
        let (done, sentence) =
            seen.ok_or_else(|| format!("Latchwork does not do this: {self:?}"))?;
        let is_end = |one: &Told| one.by == told[done].by && matches!(one.what, What::Leaves(_));
        let end = told[done..].iter().position(is_end).map_or(told.len() - 1, |after| done + after);
        Ok(Seen { sentence, done, end })
    }
}

/// All that is left to tell after the story.
pub(super) fn rest(told: &[Told]) -> String {
    let (ticks, nmis) = (count(told, is_tick), count(told, |what| is_fact(what, is_taken)));
    let until_us = told.last().map_or(0, |one| one.at_us - BEGINNING_US);
    format!(
        "Then, until {until_us} us: ticks {ticks}, NMIs {nmis}, reports {}.",
        reports(told).count()
    )
}

fn count(told: &[Told], is_it: impl Fn(&What) -> bool) -> usize {
    told.iter().filter(|one| is_it(&one.what)).count()
}

fn is_fact(what: &What, is_it: impl Fn(&Fact) -> bool) -> bool {
    matches!(what, What::Fact(fact) if is_it(fact))
}

const fn is_taken(fact: &Fact) -> bool {
    matches!(fact, Fact::Taken { .. })
}

fn is_tick(what: &What) -> bool {
    *what == What::Enters(Interruption::Irq(TICK_VECTOR))
}

fn reports(told: &[Told]) -> impl Iterator<Item = usize> {
    let is_report = |fact: &Fact| matches!(fact, Fact::Report { reported: Reported::Unknown, .. });
    (0..told.len()).filter(move |place| is_fact(&told[*place].what, is_report))
}

fn recovery(told: &[Told], condition: Condition) -> Option<(usize, String)> {
    let place =
        |is_it: &dyn Fn(&Fact) -> bool| told.iter().position(|one| is_fact(&one.what, is_it));
    let set = place(&|fact| *fact == Fact::Set(condition))?;
    let consumed =
        place(&|fact| matches!(fact, Fact::Consumed { condition: it, .. } if *it == condition))?;
    let ticks = count(told.get(set..consumed)?, is_tick);
    let is_deed = |one: &Told| one.what == What::Does(Deed::Recovered(1));
    let done = consumed + told[consumed..].iter().position(is_deed)?;
    if ticks == 0 {
        return None;
    }
    let after_us = told[consumed].at_us - told[set].at_us;
    let (condition, nth) = (words::condition(condition), words::ordinal(ticks));
    let sentence = format!(
        "The {nth} tick finds {condition}, {after_us} us after it was set: a poll was owed, and \
         that tick pays it."
    );
    Some((done, sentence))
}

fn absorption(told: &[Told]) -> Option<(usize, String)> {
    let mut absorbed = told.iter().enumerate().filter_map(|(place, one)| match one.what {
        What::Does(Deed::Absorbed(kind)) => Some((place, kind)),
        _ => None,
    });
    let (place, kind) = absorbed.next()?;
    let is_all = absorbed.next().is_none() && reports(told).next().is_none();
    let grant = words::grant(kind);
    is_all.then(|| {
        (
            place,
            format!("The edge that finds nothing is absorbed by a {grant}; nothing is reported."),
        )
    })
}

fn report(told: &[Told]) -> Option<(usize, String)> {
    let pressed = told.iter().position(|one| one.what == What::Fact(Fact::Pressed))?;
    let mut reports = reports(told);
    let report = reports.next().filter(|report| *report > pressed)?;
    let after_us = told[report].at_us - told[pressed].at_us;
    let sentence = format!(
        "The true unknown is reported, once, {after_us} us after it rang: no grant hides it."
    );
    reports.next().is_none().then_some((report, sentence))
}

fn together(told: &[Told], conditions: &[Condition]) -> Option<(usize, String)> {
    let mut claimed = Vec::new();
    for (place, one) in told.iter().enumerate() {
        match one.what {
            What::Fact(Fact::Taken { .. }) => claimed.clear(),
            What::Fact(Fact::Consumed { condition, .. }) => claimed.push(condition),
            What::Fact(Fact::Ended { .. }) if conditions.iter().all(|it| claimed.contains(it)) => {
                let names: Vec<_> = conditions.iter().map(|it| words::condition(*it)).collect();
                return Some((place, format!("One NMI claims {}.", names.join(" and "))));
            }
            _ => {}
        }
    }
    None
}
