// SPDX-License-Identifier: MIT OR Apache-2.0
//! Five short stories: another kernel's policy loses an NMI or misreports one, and Latchwork on the
//! same happenings does not.
//!
//! A list of cues says what happens, and both policies get the same. A demo computes everything
//! else when it is shown: that the baseline breaks its property, that our policy keeps all
//! properties wherever in its code the cues come, and what it did instead.

mod cue;
mod instead;
mod lines;
mod performance;
mod places;
mod stories;
mod svg;
#[cfg(test)]
mod tests;
mod text;
mod words;

use self::{
    cue::Cue,
    instead::Instead,
    lines::{Manner, Weight},
    performance::Side,
    places::Run,
    words::Words,
};
use crate::{
    engine::Property,
    event_log::Logged,
    machine::{Bell, Edge, Fact},
    policy::{Latchwork, Recovery, baselines},
    run::{MakePolicy, Setting},
    scenario::{Extent, Scenario},
};

pub use self::{performance::Performance, stories::DEMOS};

/// A story.
#[derive(Clone, Copy, Debug)]
pub struct Demo {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is about, in one line.
    pub summary: &'static str,
    /// Who reported what, and where.
    story: &'static str,
    /// The other policy's name, and whose it is.
    baseline: (&'static str, &'static str),
    /// The baseline itself says which handlers it asks.
    names_handlers: bool,
    /// The beginnings of what it says and the story leaves out.
    hidden: &'static [&'static str],
    /// How our policy pays what it owes.
    recovery: Recovery,
    /// What each of the two kernels calls an NMI that software sends.
    sends: [&'static str; 2],
    scenario: &'static Scenario,
    cues: &'static [Cue],
    /// The property that the baseline breaks.
    breaks: Property,
    /// What our policy does instead.
    instead: Instead,
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
    /// If the baseline keeps its property, if our policy breaks one at any place, if the same
    /// cannot happen to both at the same time, or if our policy does not do what the story says.
    /// None of that is expected.
    pub fn perform(&self) -> Result<Performance, String> {
        let recovery = self.recovery;
        self.perform_with(&move || Box::new(Latchwork(recovery)))
    }

    /// Plays it with `ours` as our policy.
    fn perform_with(&self, ours: &MakePolicy) -> Result<Performance, String> {
        let baseline = self.baseline()?;
        let ours = self.ours(ours, &baseline.run)?;
        Ok(Performance { demo: *self, baseline, ours })
    }

    /// The baseline, at the first places at which it breaks its property.
    fn baseline(&self) -> Result<Side, String> {
        let (name, whose) = self.baseline;
        let baseline = baselines().iter().find(|baseline| baseline.name == name);
        let baseline = baseline.ok_or_else(|| format!("there is no baseline `{name}`"))?;
        let runs = self.runs(&baseline.policy)?;
        let mut broken = runs.iter().filter_map(|run| {
            let violation = run.violation.as_ref()?;
            (violation.property == self.breaks).then_some((run, violation))
        });
        let Some((run, violation)) = broken.next() else {
            return Err(format!("`{name}` does not break {} in {}", self.breaks, self.name));
        };
        let mut lines = lines::lines(&run.entries, self.manner(false));
        lines.extend(lines::still_set(&run.entries, self.scenario.hardware.cpus));
        if let Some(last) = lines.last_mut() {
            last.weight = Weight::Wrong;
        }
        let promise = words::property(violation.property);
        Ok(Side {
            whose,
            name,
            lines,
            rest: None,
            verdict: format!(
                "{} is broken, \"{promise}\": {}.",
                violation.property, violation.text
            ),
            places: runs.len(),
            broken_at: 1 + broken.count(),
            run: run.clone(),
        })
    }

    /// Our policy, at the first places at which the CPUs take the same edges at the same times.
    fn ours(&self, policy: &MakePolicy, baseline: &Run) -> Result<Side, String> {
        let name = policy().name();
        let runs = self.runs(policy)?;
        if let Some(violation) = runs.iter().find_map(|run| run.violation.as_ref()) {
            return Err(format!("`{name}` breaks a property in {}: {violation}", self.name));
        }
        let is_the_same = |run: &&Run| {
            run.given_us == baseline.given_us && edges(run).starts_with(&edges(baseline))
        };
        let Some(run) = runs.iter().find(is_the_same) else {
            return Err(format!("the same cannot happen to `{name}` in {}", self.name));
        };
        let seen = self.instead.seen_in(&run.entries)?;
        let (story, rest) = run.entries.split_at(seen.end + 1);
        let mut lines = lines::lines(story, self.manner(true));
        if let Some(line) = lines.iter_mut().rfind(|line| line.place <= seen.done) {
            line.weight = Weight::Right;
        }
        Ok(Side {
            whose: "Latchwork",
            name,
            lines,
            rest: Some(instead::rest(rest)),
            verdict: format!("Every property holds. {}", seen.sentence),
            places: runs.len(),
            broken_at: 0,
            run: run.clone(),
        })
    }

    fn runs(&self, policy: &MakePolicy) -> Result<Vec<Run>, String> {
        places::runs(&Setting::new(self.scenario, Extent::Exhaustive, policy), self.cues)
    }

    fn manner(&self, is_ours: bool) -> Manner {
        Manner {
            cpus: self.scenario.hardware.cpus,
            happenings: self.scenario.happenings,
            words: Words { send: self.sends[usize::from(is_ours)] },
            is_ours,
            names_handlers: self.names_handlers && !is_ours,
            hidden: if is_ours { &[] } else { self.hidden },
        }
    }
}

/// The edges that CPUs have taken, in order, without those that a policy sends to its own CPU.
fn edges(run: &Run) -> Vec<(usize, Edge)> {
    let own = Edge::of(&[Bell::Software]);
    let taken = run.entries.iter().filter_map(|one| match one.what {
        Logged::Fact(Fact::Taken { cpu, edge, .. }) if edge != own => Some((cpu, edge)),
        _ => None,
    });
    taken.collect()
}
