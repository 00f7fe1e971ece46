// SPDX-License-Identifier: MIT OR Apache-2.0
//! The searches' common words: bounds, and what came out.

use std::{ops::Range, time::Duration};

use super::{timeline::Timeline, trace::Trace, world::Violation, world::World};

/// Builds the world anew, in the same state and at the same addresses each time; see
/// [`Place`](super::Place).
pub type Build<'a> = dyn FnMut() -> &'static (dyn World + 'static) + 'a;

/// How far a search goes. What it did not see for one of these it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How often, in one execution, a CPU that could go on may make way for another. Exhaustive search
    /// only.
    pub preemptions: u8,
    /// How many choice points an execution has at most.
    pub points: usize,
    /// How many states an exhaustive search visits at most.
    pub states: usize,
    /// How long a search lasts at most.
    pub time: Option<Duration>,
    /// How many stores a CPU's store buffer holds; 0: stores are in memory at once. Part of the machine,
    /// so a trace is replayed with the same.
    pub store_buffer: usize,
    /// Whether an exhaustive search ends an execution in a state that it has met before. Off, it is slow
    /// beyond use; it shows that pruning loses nothing.
    pub prune: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            preemptions: 2,
            points: 100_000,
            states: 5_000_000,
            time: None,
            store_buffer: 0,
            prune: true,
        }
    }
}

/// A violation and what leads there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// What does not hold.
    pub violation: Violation,
    /// The execution.
    pub trace: Trace,
    /// The seed of the execution, from random search.
    pub seed: Option<u64>,
}

/// A bound that ended a search before it had seen everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`Bounds::points`]: this many executions were cut.
    Points(usize),
    /// [`Bounds::states`].
    States,
    /// [`Bounds::time`].
    Time,
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was violated in all that was to be seen: within the preemption bound, everything; in random
    /// search, each seed.
    Held,
    /// Something is violated.
    Violated(Box<Counterexample>),
    /// Nothing was violated in what was seen, and that is not everything.
    Unfinished(Limit),
}

/// What a search found and what it took.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it ended.
    pub verdict: Verdict,
    /// How many states with a choice were met. Exhaustive search only.
    pub states: usize,
    /// How many executions were begun.
    pub executions: usize,
    /// How many choice points were passed.
    pub points: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// Sees every execution within `bounds`, up to the first violation.
pub fn exhaust(bounds: &Bounds, build: &mut Build<'_>) -> Report {
    let _ = (bounds, build);
    todo!("lands next")
}

/// Runs one random execution for each seed, up to the first violation.
pub fn sample(bounds: &Bounds, seeds: Range<u64>, build: &mut Build<'_>) -> Report {
    let _ = (bounds, seeds, build);
    todo!("lands next")
}

/// One execution, told.
#[derive(Clone, Debug)]
pub struct Replay {
    /// What did not hold.
    pub violation: Option<Violation>,
    /// What happened.
    pub timeline: Timeline,
}

/// Runs the execution of a trace and tells it.
pub fn replay(bounds: &Bounds, trace: &Trace, build: &mut Build<'_>) -> Replay {
    let _ = (bounds, trace, build);
    todo!("lands next")
}

/// The shortest execution that it finds, from this one, that violates the same property.
pub fn minimise(bounds: &Bounds, found: &Counterexample, build: &mut Build<'_>) -> Counterexample {
    let _ = (bounds, found, build);
    todo!("lands next")
}
