// SPDX-License-Identifier: MIT OR Apache-2.0
//! The searches, and what they share: bounds and results.

mod direct;
pub(crate) mod exhaustive;
mod minimise;
mod random;
mod replay;

use std::{
    fmt,
    time::{Duration, Instant},
};

pub use direct::{Directed, Director, direct};
pub use exhaustive::exhaust;
pub use minimise::minimise;
pub use random::sample;
pub use replay::{Replay, replay};

use super::{
    driver::Run,
    trace::Trace,
    world::{Violation, World},
};

/// Builds the world anew, in the same state and at the same addresses each time; see
/// [`Place`](super::Place).
pub type Build<'a> = dyn FnMut() -> &'static (dyn World + 'static) + 'a;

/// How far a search goes. A search reports which of these has ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How often, in one execution, a CPU that could go on may make way for another. Exhaustive
    /// search only.
    pub preemptions: u8,
    /// How many choice points an execution has at most.
    pub points: usize,
    /// How many states an exhaustive search visits at most.
    pub states: usize,
    /// How long a search lasts at most.
    pub time: Option<Duration>,
    /// How many stores a CPU's store buffer holds; 0: stores are in memory at once. Part of the
    /// machine, so a trace is replayed with the same.
    pub store_buffer: usize,
    /// Whether an exhaustive search ends an execution in a state that it has met before. Without, a
    /// search is far too slow for use, but shows that pruning loses nothing.
    pub prune: bool,
    /// Whether an exhaustive search leaves out an option whose order with what the CPU has just
    /// done cannot matter. A search without shows that this loses nothing.
    pub reduce: bool,
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
            reduce: true,
        }
    }
}

/// A violation and the execution that leads to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// What does not hold.
    pub violation: Violation,
    /// The execution.
    pub trace: Trace,
    /// The seed of the execution, if random search found it.
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

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Points(executions) => write!(f, "{executions} executions were too long"),
            Self::States => f.write_str("too many states"),
            Self::Time => f.write_str("out of time"),
        }
    }
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The search has seen everything (within the preemption bound, or each seed of a random
    /// search), and nothing was violated.
    Held,
    /// Something is violated.
    Violated(Box<Counterexample>),
    /// Nothing was violated in what the search has seen, and that is not everything.
    Unfinished(Limit),
}

impl Verdict {
    /// What is violated, if something is.
    #[must_use]
    pub fn counterexample(&self) -> Option<&Counterexample> {
        match self {
            Self::Violated(found) => Some(found),
            Self::Held | Self::Unfinished(_) => None,
        }
    }
}

/// What a search found and what it took.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it ended.
    pub verdict: Verdict,
    /// How many states with a choice the search met. Exhaustive search only.
    pub states: usize,
    /// How many executions it began.
    pub executions: usize,
    /// How many choice points it passed.
    pub points: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// What a search has done so far.
struct Progress {
    began: Instant,
    time: Option<Duration>,
    executions: usize,
    points: u64,
    too_long: usize,
}

impl Progress {
    fn new(bounds: &Bounds) -> Self {
        Self { began: Instant::now(), time: bounds.time, executions: 0, points: 0, too_long: 0 }
    }

    fn add(&mut self, run: &Run) {
        self.executions += 1;
        self.points += run.points as u64;
    }

    fn is_out_of_time(&self) -> bool {
        self.time.is_some_and(|time| self.began.elapsed() >= time)
    }

    fn verdict_at_the_end(&self) -> Verdict {
        match self.too_long {
            0 => Verdict::Held,
            executions => Verdict::Unfinished(Limit::Points(executions)),
        }
    }

    fn report(self, verdict: Verdict, states: usize) -> Report {
        let Self { began, executions, points, .. } = self;
        Report { verdict, states, executions, points, elapsed: began.elapsed() }
    }
}
