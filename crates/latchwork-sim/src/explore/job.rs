// SPDX-License-Identifier: MIT OR Apache-2.0
//! One policy in one scenario.

use std::time::Duration;

use super::{Entry, LOOK_AT_STATES, PROPERTIES, Reach};
use crate::{
    engine::{Bounds, Counterexample, Detail, Limit, Property, Verdict},
    run::Setting,
    scenario::{Extent, Scenario},
};

/// A search to be made.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    entry: Entry,
    scenario: &'static Scenario,
    bounds: Bounds,
}

/// A search that was made.
#[derive(Debug)]
pub struct Searched {
    /// The policy's name.
    pub policy: &'static str,
    /// The scenario.
    pub scenario: &'static Scenario,
    /// How many states the search met.
    pub states: usize,
    /// How many executions it began.
    pub executions: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// What is violated.
    pub found: Vec<Found>,
    /// The limit that ended it before it had seen everything, if one did.
    pub unfinished: Option<Limit>,
}

/// A violation, minimised.
#[derive(Debug)]
pub struct Found {
    /// The scenario that shows it.
    pub scenario: &'static str,
    /// What is violated, and how to get there.
    pub counterexample: Counterexample,
    /// Its timeline.
    pub timeline: String,
}

impl Job {
    /// `entry` in `scenario`, unless the policy cannot do what the scenario asks for.
    pub(super) fn of(entry: Entry, scenario: &'static Scenario, reach: Reach) -> Option<Self> {
        if !scenario.suits(&*(entry.policy)()) {
            return None;
        }
        let mut bounds = scenario.bounds();
        if let Reach::Preemptions(most) = reach {
            bounds.preemptions = bounds.preemptions.min(most);
        }
        if entry.breaks_in.is_some_and(|(own, _)| own != scenario.name) {
            bounds.states = LOOK_AT_STATES;
        }
        Some(Self { entry, scenario, bounds })
    }

    /// Searches until it finds no new violation. It leaves each property that is violated out of
    /// the next search.
    pub(super) fn search(&self) -> Searched {
        let mut searched = Searched {
            policy: self.entry.name,
            scenario: self.scenario,
            states: 0,
            executions: 0,
            elapsed: Duration::ZERO,
            found: Vec::new(),
            unfinished: None,
        };
        let mut judged = PROPERTIES.to_vec();
        judged.extend([Property::Deadlock, Property::Panic]);
        let whole = Setting::new(self.scenario, Extent::Exhaustive, &self.entry.policy);
        while !judged.is_empty() {
            let setting = Setting { properties: &judged, ..whole };
            let report = setting.exhaust(&self.bounds);
            searched.states += report.states;
            searched.executions += report.executions;
            searched.elapsed += report.elapsed;
            match report.verdict {
                Verdict::Held => break,
                Verdict::Unfinished(limit) => {
                    searched.unfinished = Some(limit);
                    break;
                }
                Verdict::Violated(found) => {
                    let property = found.violation.property;
                    searched.found.push(self.minimised(&setting, &found));
                    let before = judged.len();
                    judged.retain(|one| *one != property);
                    if judged.len() == before || !is_judged(property) {
                        break;
                    }
                }
            }
        }
        searched
    }

    fn minimised(&self, setting: &Setting<'_>, found: &Counterexample) -> Found {
        let least = setting.minimise(&self.bounds, found);
        let replay = setting.replay(&self.bounds, &least.trace, Detail::Notes);
        Found {
            scenario: self.scenario.name,
            timeline: replay.timeline.to_string(),
            counterexample: least,
        }
    }
}

/// Whether a search can go on without judging it. What the engine itself finds ends every search.
fn is_judged(property: Property) -> bool {
    PROPERTIES.contains(&property)
}
