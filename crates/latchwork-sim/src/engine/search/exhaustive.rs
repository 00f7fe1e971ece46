// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs every execution within the preemption bound: depth-first, each from the beginning.

use std::{collections::HashMap, hash::BuildHasherDefault};

use super::{Bounds, Build, Counterexample, Limit, Progress, Report, Verdict, random::Dice};
use crate::engine::{
    driver::{Answer, Chooser, Driver, End, Menu},
    fingerprint::{IsHash, scramble},
    timeline::Detail,
};

/// Runs every execution within `bounds`, up to the first violation.
pub fn exhaust(bounds: &Bounds, build: &mut Build<'_>) -> Report {
    exhaust_with(bounds, build, &mut |_| ())
}

/// As [`exhaust`]. It also passes on the state in which each execution ends that is not cut.
pub(crate) fn exhaust_with(
    bounds: &Bounds,
    build: &mut Build<'_>,
    ended_in: &mut dyn FnMut(u64),
) -> Report {
    let mut driver = Driver::new(Detail::Nothing);
    let mut progress = Progress::new(bounds);
    let mut explorer = Explorer::new(bounds);
    driver.engine.sharing.begin(bounds.reduce);
    if bounds.reduce {
        for seed in 0..EXECUTIONS_TO_LEARN_FROM {
            progress.add(&driver.run(bounds, build, &mut Dice::new(seed)));
        }
    }
    let verdict = loop {
        explorer.cursor = 0;
        explorer.skip_defaults();
        let run = driver.run(bounds, build, &mut explorer);
        progress.add(&run);
        match run.end {
            End::Over => ended_in(run.end_state),
            End::Cut => (),
            End::TooLong => progress.too_long += 1,
            End::Violated(violation) => {
                let found = Counterexample { violation, trace: run.trace, seed: None };
                break Verdict::Violated(Box::new(found));
            }
        }
        if explorer.has_too_many_states() {
            break Verdict::Unfinished(Limit::States);
        }
        if progress.executions % EXECUTIONS_PER_LOOK == 0 && progress.is_out_of_time() {
            break Verdict::Unfinished(Limit::Time);
        }
        if driver.engine.sharing.has_grown() {
            explorer.begin_again();
        } else if !explorer.turn_to_the_next() {
            break progress.verdict_at_the_end();
        }
    };
    progress.report(verdict, explorer.states())
}

/// How many random executions the search begins with, to learn which words are shared.
const EXECUTIONS_TO_LEARN_FROM: u64 = 64;

/// How many executions pass between two looks at the clock.
const EXECUTIONS_PER_LOOK: usize = 64;

/// A choice point with several options on the way to where the search is.
struct Branch {
    point: usize,
    /// The option of the execution in progress.
    option: usize,
    /// The options that come after it.
    rest: Options,
}

/// A set of options of one choice point.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Options(u64);

impl Options {
    fn add(&mut self, option: usize) {
        assert!(option < 64, "too many options at one choice point");
        self.0 |= 1 << option;
    }

    fn take_first(&mut self) -> Option<usize> {
        let first = (self.0 != 0).then_some(self.0.trailing_zeros() as usize);
        self.0 &= self.0.wrapping_sub(1);
        first
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The option to go on, alone.
    const DEFAULT: Self = Self(1);
}

struct Explorer<'a> {
    bounds: &'a Bounds,
    path: Vec<Branch>,
    /// The next branch of the path whose option is not the default; beyond the path, new ground.
    cursor: usize,
    /// The options that were or will be taken, by the state and the preemptions left there.
    taken: HashMap<u64, Options, BuildHasherDefault<IsHash>>,
    /// States met, where they are not kept.
    met: usize,
}

impl<'a> Explorer<'a> {
    fn new(bounds: &'a Bounds) -> Self {
        Self { bounds, path: Vec::new(), cursor: 0, taken: HashMap::default(), met: 0 }
    }

    /// Nothing has been seen.
    fn begin_again(&mut self) {
        self.path.clear();
        self.taken.clear();
        self.met = 0;
    }

    fn skip_defaults(&mut self) {
        while self.path.get(self.cursor).is_some_and(|branch| branch.option == 0) {
            self.cursor += 1;
        }
    }

    /// Says whether there is another execution to see.
    fn turn_to_the_next(&mut self) -> bool {
        while let Some(branch) = self.path.last_mut() {
            if let Some(option) = branch.rest.take_first() {
                branch.option = option;
                return true;
            }
            self.path.pop();
        }
        false
    }

    fn states(&self) -> usize {
        self.met.max(self.taken.len())
    }

    fn has_too_many_states(&self) -> bool {
        self.states() >= self.bounds.states
    }

    /// The options that lead to something new, as far as this point itself shows.
    fn options(&self, menu: &Menu<'_>, budget: u8) -> Options {
        let mut options = Options::default();
        for option in 0..menu.choices.len() {
            let affordable = budget != 0 || !menu.preempts(option);
            if affordable && (!self.bounds.reduce || menu.matters(option)) {
                options.add(option);
            }
        }
        options
    }

    /// Those of them that the search has not taken in this state, with at least this budget left.
    /// It notes that it will.
    fn new_among(&mut self, options: Options, menu: &Menu<'_>, budget: u8) -> Options {
        if !self.bounds.prune {
            self.met += 1;
            return options;
        }
        let state = menu.engine.state(Some(menu.current));
        let key = |budget: u8| state ^ scramble(budget.into());
        let before = (budget..=self.bounds.preemptions)
            .filter_map(|budget| self.taken.get(&key(budget)))
            .fold(Options::default(), |all, taken| all.with(*taken));
        let new = options.without(before);
        if new != Options::default() {
            let taken = self.taken.entry(key(budget)).or_default();
            *taken = taken.with(new);
        }
        new
    }
}

impl Chooser for Explorer<'_> {
    fn next_stop(&self) -> usize {
        self.path.get(self.cursor).map_or(0, |branch| branch.point)
    }

    fn wants_free_points(&self) -> bool {
        self.cursor >= self.path.len()
    }

    fn known_until(&self) -> usize {
        self.path.last().map_or(0, |branch| branch.point)
    }

    fn choose(&mut self, menu: &Menu<'_>) -> Answer {
        if let Some(branch) = self.path.get(self.cursor) {
            assert_eq!(branch.point, menu.point, "the world is not the same again");
            let option = branch.option;
            self.cursor += 1;
            self.skip_defaults();
            return Answer::Take(option);
        }
        let budget = self.bounds.preemptions.saturating_sub(menu.preemptions);
        let options = self.options(menu, budget);
        if options == Options::DEFAULT {
            return Answer::Take(0);
        }
        if self.has_too_many_states() {
            return Answer::Cut;
        }
        let mut rest = self.new_among(options, menu, budget);
        let Some(option) = rest.take_first() else { return Answer::Cut };
        self.path.push(Branch { point: menu.point, option, rest });
        self.cursor = self.path.len();
        Answer::Take(option)
    }
}
