// SPDX-License-Identifier: MIT OR Apache-2.0
//! Five short stories: another kernel's policy loses an NMI or misreports one, and Latchwork on the same
//! happenings does not.
//!
//! What happens is a list of [cues](cue), and both policies get the same. Everything else is computed when a
//! story is told: that the baseline breaks its property, that ours keeps all of them wherever in its code the
//! cues are given, and what it did instead.

mod cue;
mod instead;
mod lines;
mod places;
mod stories;
mod text;
mod words;

use std::fmt;

use self::{
    cue::{Cue, When},
    instead::Instead,
    lines::{Line, Manner},
    places::Run,
    words::Words,
};
use crate::{
    engine::Property,
    machine::{Bell, Edge, Fact},
    policy::{Latchwork, Policy, Recovery, baselines},
    run::Setting,
    scenario::{Extent, Scenario},
    telling::What,
};

pub use stories::DEMOS;

/// A story.
#[derive(Clone, Copy, Debug)]
pub struct Demo {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is about, in one line.
    pub summary: &'static str,
    /// Who reported what, and where.
    story: &'static str,
    /// The other policy, by its name, and whose it is.
    baseline: (&'static str, &'static str),
    /// It says itself which handlers it asks.
    names_handlers: bool,
    /// What it says that is not of the story, by how that begins.
    hidden: &'static [&'static str],
    /// How our policy pays what it owes.
    recovery: Recovery,
    /// What is sent by software, there and here.
    sends: [&'static str; 2],
    scenario: &'static Scenario,
    cues: &'static [Cue],
    /// What the baseline breaks.
    breaks: Property,
    /// What ours does instead.
    instead: Instead,
}

/// What one policy made of it.
#[derive(Clone, Debug)]
struct Side {
    title: String,
    run: Run,
    lines: Vec<Line>,
    /// At how many places in its code what happens can happen.
    places: usize,
    /// At how many of these it breaks the property, or, for ours, any.
    broken_at: usize,
}

/// A story that was played.
#[derive(Clone, Debug)]
pub struct Performance {
    demo: &'static Demo,
    baseline: Side,
    ours: Side,
    verdict: String,
    instead: String,
}

impl Demo {
    /// The demo of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        DEMOS.iter().find(|demo| demo.name == name)
    }

    /// Plays it.
    ///
    /// # Errors
    ///
    /// If the baseline keeps its property, if ours breaks one anywhere, if the same cannot happen to both at the
    /// same time, or if ours does not do what the story says. None of that is expected.
    pub fn perform(&'static self) -> Result<Performance, String> {
        let baseline = self.baseline()?;
        let ours = self.ours(&baseline.run)?;
        let violation = baseline.run.violation.clone().expect("it was looked for");
        let verdict = format!(
            "BROKEN {}, \"{}\": {}",
            violation.property,
            words::property(violation.property),
            violation.text
        );
        let instead = self.instead.seen_in(&ours.run.told)?;
        let ours =
            Side { lines: lines::lines(&ours.run.told[..=instead.at], self.manner(true)), ..ours };
        let rest = instead::rest(&ours.run.told[instead.at..]);
        let instead = format!("{rest}\n{}", instead.sentence);
        Ok(Performance { demo: self, baseline, ours, verdict, instead })
    }

    fn baseline(&'static self) -> Result<Side, String> {
        let (name, title) = self.baseline;
        let baseline = baselines().iter().find(|baseline| baseline.name == name);
        let baseline = baseline.ok_or_else(|| format!("there is no baseline `{name}`"))?;
        let setting = Setting::new(self.scenario, Extent::Exhaustive, &baseline.policy);
        let runs = places::runs(&setting, self.cues)?;
        let breaks =
            |run: &&Run| run.violation.as_ref().is_some_and(|it| it.property == self.breaks);
        let Some(run) = runs.iter().find(breaks) else {
            return Err(format!("{name} does not break {} here", self.breaks));
        };
        let mut lines = lines::lines(&run.told, self.manner(false));
        lines.extend(lines::still_set(&run.told, self.scenario.hardware.cpus));
        Ok(Side {
            title: format!("{title} (`{name}`)"),
            lines,
            run: run.clone(),
            places: runs.len(),
            broken_at: runs.iter().filter(breaks).count(),
        })
    }

    /// Ours, where the CPUs take the same edges at the same times.
    fn ours(&'static self, baseline: &Run) -> Result<Side, String> {
        let policy = || Box::new(Latchwork(self.recovery)) as Box<dyn Policy>;
        let name = policy().name();
        let setting = Setting::new(self.scenario, Extent::Exhaustive, &policy);
        let runs = places::runs(&setting, self.cues)?;
        if let Some(broken) = runs.iter().find_map(|run| run.violation.as_ref()) {
            return Err(format!("{name} breaks {broken}"));
        }
        let is_the_same = |run: &&Run| {
            run.given_us == baseline.given_us && edges(run).starts_with(&edges(baseline))
        };
        let Some(run) = runs.iter().find(is_the_same) else {
            return Err(format!("the same does not happen to {name} wherever it is tried"));
        };
        Ok(Side {
            title: format!("Latchwork (`{name}`)"),
            lines: Vec::new(),
            run: run.clone(),
            places: runs.len(),
            broken_at: 0,
        })
    }

    fn manner(&self, is_ours: bool) -> Manner {
        Manner {
            cpus: self.scenario.hardware.cpus,
            words: Words { send: self.sends[usize::from(is_ours)] },
            is_ours,
            happenings: self.scenario.happenings,
            names_handlers: self.names_handlers && !is_ours,
            hidden: if is_ours { &[] } else { self.hidden },
        }
    }
}

/// The edges that CPUs have taken, in order, but for those of what a policy sends to itself.
fn edges(run: &Run) -> Vec<(usize, Edge)> {
    let own = Edge::of(&[Bell::Software]);
    let taken = run.told.iter().filter_map(|one| match one.what {
        What::Fact(Fact::Taken { cpu, edge, .. }) if edge != own => Some((cpu, edge)),
        _ => None,
    });
    taken.collect()
}

impl fmt::Display for Performance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let demo = self.demo;
        writeln!(f, "{}: {}\n", demo.name, demo.summary)?;
        paragraph(f, demo.story)?;
        writeln!(f, "\nThe same happens to both, in this order and at these times:")?;
        let [there, here] = demo.sends;
        let send = if there == here { there.to_owned() } else { format!("{there} ({here})") };
        let words = Words { send: &send };
        for (cue, at_us) in demo.cues.iter().zip(&self.baseline.run.given_us) {
            writeln!(f, "  {at_us:>5} us  {}", words.cue(*cue))?;
        }
        for side in [&self.baseline, &self.ours] {
            writeln!(f, "\n{}\n", side.title)?;
            for row in text::timeline(&side.lines, demo.scenario.hardware.cpus) {
                writeln!(f, "{row}")?;
            }
            let is_baseline = std::ptr::eq(side, &raw const self.baseline);
            writeln!(f)?;
            paragraph(f, if is_baseline { &self.verdict } else { &self.instead })?;
        }
        if demo.cues.iter().any(|cue| matches!(cue.when, When::InNmi { .. })) {
            writeln!(f)?;
            paragraph(f, &self.places())?;
        }
        Ok(())
    }
}

impl Performance {
    /// What "the same" leaves open, and what comes of it.
    fn places(&self) -> String {
        let (baseline, ours) = (&self.baseline, &self.ours);
        format!(
            "A handler is not the same code in both, so \"while it handles\" is tried at every access there: {} of {} places break it in {}; none of {} does in Latchwork. Shown are the first that breaks, and the first at which CPUs take the same edges.",
            baseline.broken_at, baseline.places, self.demo.baseline.1, ours.places
        )
    }
}

fn paragraph(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text::wrap(text, text::WIDTH).iter().try_for_each(|line| writeln!(f, "{line}"))
}
