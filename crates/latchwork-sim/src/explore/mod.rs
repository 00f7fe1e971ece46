// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies in the simulated machine, ours and other people's: what each keeps of the properties,
//! and what it costs.
//!
//! The explorer searches our policies exhaustively in every scenario, within the chosen bounds: for
//! them, "held" means that it has seen everything. It searches a baseline exhaustively in the
//! scenario that shows how it breaks, and in the others up to a number of states: for a baseline,
//! "held" means that it found nothing.

mod campaign;
mod cost;
mod document;
mod job;
mod sampling;
mod table;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

pub use campaign::{Campaign, Progress};
pub use cost::CostAt;
pub use document::{document, merge_lines};
pub use job::{Found, Job, Searched};
pub use sampling::{LONG_POINTS, Line, sample};
pub use table::table;

use crate::{
    engine::Property,
    policy::{Latchwork, Policy, Recovery, baselines},
    scenario::{SCENARIOS, Scenario},
};

/// How many states the explorer visits for a baseline in scenarios of others.
const LOOK_AT_STATES: usize = 20_000;

/// The properties that policies are judged by, in the order of the table. A deadlock or a panic of
/// simulated code counts against all of them, so the report names it separately.
pub const PROPERTIES: [Property; 9] = [
    Property::L,
    Property::N1,
    Property::N2,
    Property::N3,
    Property::C,
    Property::W,
    Property::Q,
    Property::D,
    Property::H,
];

/// How far the exhaustive search of our own policies goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// At most so many preemptions in each execution.
    Preemptions(u8),
    /// As many as each scenario says.
    Full,
}

/// A policy that can be explored.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// Makes it.
    pub policy: fn() -> Box<dyn Policy>,
    /// For a baseline, the scenario that shows how it breaks, and what it is here for.
    pub breaks_in: Option<(&'static str, Property)>,
}

/// All policies: ours, then the baselines.
#[must_use]
pub fn policies() -> Vec<Entry> {
    let ours = [
        Entry {
            name: "latchwork-poll",
            summary: "ours; ticks pay debts by a poll outside NMIs",
            policy: || Box::new(Latchwork(Recovery::Poll)),
            breaks_in: None,
        },
        Entry {
            name: "latchwork-probe",
            summary: "ours; ticks pay debts by an NMI to their own CPU",
            policy: || Box::new(Latchwork(Recovery::Probe)),
            breaks_in: None,
        },
    ];
    let others = baselines().iter().map(|baseline| Entry {
        name: baseline.name,
        summary: baseline.summary,
        policy: baseline.policy,
        breaks_in: baseline.breaks.first().map(|property| (baseline.scenario, *property)),
    });
    ours.into_iter().chain(others).collect()
}

impl Entry {
    /// Whether it is one of ours.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        self.breaks_in.is_none()
    }
}

/// The results of one policy.
#[derive(Debug)]
pub struct Outcome {
    /// The policy.
    pub entry: Entry,
    /// Each search.
    pub searches: Vec<Searched>,
    /// What it costs, on one CPU and on many; `None` where only some scenarios were asked for.
    pub cost: Option<[CostAt; 2]>,
}

impl Outcome {
    /// The violated properties, each with the violation that was found first.
    #[must_use]
    pub fn violated(&self) -> BTreeMap<Property, &Found> {
        let mut violated = BTreeMap::new();
        for found in self.searches.iter().flat_map(|search| &search.found) {
            violated.entry(found.counterexample.violation.property).or_insert(found);
        }
        violated
    }

    /// How many states all searches met.
    #[must_use]
    pub fn states(&self) -> usize {
        self.searches.iter().map(|search| search.states).sum()
    }

    /// For our policies: the searches saw everything, and found nothing. For a baseline: it breaks
    /// as it should, unless its scenario was not asked for.
    #[must_use]
    pub fn is_as_it_should_be(&self) -> bool {
        match self.entry.breaks_in {
            None => {
                let whole = self.searches.iter().all(|search| search.unfinished.is_none());
                !self.searches.is_empty() && whole && self.violated().is_empty()
            }
            Some((scenario, property)) => {
                let asked = self.searches.iter().any(|search| search.scenario.name == scenario);
                !asked || self.violated().contains_key(&property)
            }
        }
    }
}

/// Explores `chosen` policies in `scenarios`, on all of this computer's processors, and passes each
/// search to `report` as it ends.
pub fn explore(
    chosen: &[Entry],
    scenarios: &[&'static Scenario],
    reach: Reach,
    report: &(dyn Fn(&Searched) + Sync),
) -> Vec<Outcome> {
    let jobs: Vec<Job> = chosen
        .iter()
        .flat_map(|entry| scenarios.iter().filter_map(|it| Job::of(*entry, it, reach)))
        .collect();
    let searches = Mutex::new(Vec::new());
    in_parallel(&jobs, |job| {
        let searched = job.search();
        report(&searched);
        searches.lock().expect("no search panics").push(searched);
    });
    let mut searches = searches.into_inner().expect("no search panics");
    searches.sort_by_key(|search| place_of(search.scenario));
    let is_whole = scenarios.len() == SCENARIOS.len();
    let mut outcomes: Vec<Outcome> = Vec::new();
    for entry in chosen {
        let (own, others) = searches.into_iter().partition(|it| it.policy == entry.name);
        searches = others;
        outcomes.push(Outcome { entry: *entry, searches: own, cost: None });
    }
    if is_whole {
        let costs = Mutex::new(Vec::new());
        in_parallel(chosen, |entry| {
            let cost = cost::measure(entry, reach);
            costs.lock().expect("no measurement panics").push((entry.name, cost));
        });
        for (name, cost) in costs.into_inner().expect("no measurement panics") {
            if let Some(outcome) = outcomes.iter_mut().find(|it| it.entry.name == name) {
                outcome.cost = Some(cost);
            }
        }
    }
    outcomes
}

fn place_of(scenario: &Scenario) -> Option<usize> {
    SCENARIOS.iter().position(|one| one.name == scenario.name)
}

/// Does all jobs, each on one of as many threads as there are processors.
fn in_parallel<T: Sync>(jobs: &[T], act: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    act(job);
                }
            });
        }
    });
}
