// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds a shorter execution that violates the same property.
//!
//! A trace counts choice points, so a deviation that is left out moves all later ones. So this
//! module names a deviation by its location (the CPU, its level, how far its context had come) and
//! by what it did (a switch to that CPU, this event). Those that remain still find their places;
//! the search skips one whose place or option does not come up. Whatever then happened is the new
//! trace.

use super::{Bounds, Build, Counterexample, replay::Script};
use crate::engine::{
    driver::{Answer, Choice, Chooser, Driver, End, Menu, Run},
    timeline::Detail,
    trace::Trace,
    world::Property,
};

/// Shortens this execution, and returns the shortest one found that violates the same property.
///
/// It leaves deviations out, alone, in runs and in pairs, makes one at the place of its neighbour,
/// and shifts one to make another needless, as long as that makes the execution shorter. If `found`
/// violates nothing in this world, the function returns it as it is.
pub fn minimise(bounds: &Bounds, found: &Counterexample, build: &mut Build<'_>) -> Counterexample {
    let mut minimiser = Minimiser {
        bounds,
        build,
        driver: Driver::new(Detail::Nothing),
        property: found.violation.property,
        attempts_left: ATTEMPTS,
    };
    let Some(mut best) = minimiser.locate(&found.trace) else { return found.clone() };
    while let Some(better) = minimiser.improve(&best) {
        best = better;
    }
    Counterexample { seed: found.seed, ..best.found }
}

/// How many executions it runs at most.
const ATTEMPTS: usize = 50_000;

/// Up to how many deviations it leaves out each pair.
const PAIRS_UP_TO: usize = 40;

/// Up to how many deviations it shifts each, and how many accesses far.
const SHIFTS_UP_TO: usize = 8;
const FARTHEST_SHIFT: usize = 24;

/// Where a deviation was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Location {
    cpu: usize,
    level: usize,
    /// Accesses of this context before.
    accesses: usize,
    /// Interruptions that the CPU had taken before.
    interruptions: usize,
}

impl Location {
    fn of(menu: &Menu<'_>) -> Option<Self> {
        let cpu = menu.engine.cpus().get(menu.current)?;
        Some(Self {
            cpu: cpu.id,
            level: cpu.level(),
            accesses: cpu.accesses_in_context(),
            interruptions: cpu.interruptions.get(),
        })
    }

    /// Whether both are the same place; `exactly` compares the number of interruptions, too.
    fn matches(&self, other: &Self, exactly: bool) -> bool {
        let place = |at: &Self| (at.cpu, at.level, at.accesses);
        place(self) == place(other) && (!exactly || self.interruptions == other.interruptions)
    }
}

/// A deviation, by its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    at: Location,
    choice: Choice,
}

/// A counterexample whose deviations are located.
struct Located {
    found: Counterexample,
    steps: Vec<Step>,
    /// What the search makes smaller: deviations, switches among them, different places, choice
    /// points.
    size: [usize; 4],
}

struct Minimiser<'a, 'b> {
    bounds: &'a Bounds,
    build: &'a mut Build<'b>,
    driver: Driver,
    property: Property,
    attempts_left: usize,
}

impl Minimiser<'_, '_> {
    fn locate(&mut self, trace: &Trace) -> Option<Located> {
        let mut recording = Recording { inner: Script::new(trace), steps: Vec::new() };
        let run = self.driver.run(self.bounds, self.build, &mut recording);
        let steps = recording.steps;
        self.located(run, steps)
    }

    fn located(&self, run: Run, steps: Vec<Step>) -> Option<Located> {
        let End::Violated(violation) = run.end else { return None };
        if violation.property != self.property {
            return None;
        }
        let switches = steps.iter().filter(|step| matches!(step.choice, Choice::Switch(_)));
        let mut places: Vec<Location> = Vec::new();
        for step in &steps {
            if !places.contains(&step.at) {
                places.push(step.at);
            }
        }
        let size = [steps.len(), switches.count(), places.len(), run.points];
        let found = Counterexample { violation, trace: run.trace, seed: None };
        Some(Located { found, steps, size })
    }

    /// The execution of these steps, if it still violates the property.
    fn attempt(&mut self, steps: &[Step]) -> Option<Located> {
        [true, false].into_iter().find_map(|exactly| {
            self.attempts_left = self.attempts_left.checked_sub(1)?;
            let inner = StepChooser { rest: steps, exactly };
            let mut recording = Recording { inner, steps: Vec::new() };
            let run = self.driver.run(self.bounds, self.build, &mut recording);
            let steps = recording.steps;
            self.located(run, steps)
        })
    }

    /// A smaller one, if there is one.
    fn improve(&mut self, best: &Located) -> Option<Located> {
        let steps = &best.steps;
        candidates(steps).find_map(|candidate| {
            self.attempt(&candidate).filter(|attempt| attempt.size < best.size)
        })
    }
}

/// What to try instead of these steps, the most promising first.
fn candidates(steps: &[Step]) -> impl Iterator<Item = Vec<Step>> + '_ {
    let count = steps.len();
    let halvings = std::iter::successors(Some(count), |length| Some(length / 2));
    let runs = halvings.take_while(|length| *length > 0).flat_map(move |length| {
        (0..count).step_by(length).map(move |from| {
            let to = (from + length).min(count);
            steps[..from].iter().chain(&steps[to..]).copied().collect()
        })
    });
    let pairs_in = if count <= PAIRS_UP_TO { count } else { 0 };
    let pairs = (0..pairs_in).flat_map(move |first| {
        (first + 1..count).map(move |second| {
            let rest = steps.iter().enumerate();
            let rest = rest.filter(|(index, _)| *index != first && *index != second);
            rest.map(|(_, step)| *step).collect()
        })
    });
    let moves = (1..count).flat_map(move |second| {
        let moved = move |to: usize, from: usize| {
            let mut steps = steps.to_vec();
            steps[to].at = steps[from].at;
            steps
        };
        [moved(second, second - 1), moved(second - 1, second)]
    });
    runs.chain(pairs).chain(moves).chain(shifts(steps))
}

/// Leaves one step out, and makes another somewhat earlier or later on its CPU: one switch
/// elsewhere may replace a switch there and one back.
fn shifts(steps: &[Step]) -> impl Iterator<Item = Vec<Step>> + '_ {
    let count = if steps.len() <= SHIFTS_UP_TO { steps.len() } else { 0 };
    (0..count).flat_map(move |left_out| {
        (0..count).filter(move |shifted| *shifted != left_out).flat_map(move |shifted| {
            (1..=FARTHEST_SHIFT).flat_map(move |distance| {
                let at = steps[shifted].at.accesses;
                [at.checked_add(distance), at.checked_sub(distance)].into_iter().flatten().map(
                    move |accesses| {
                        let mut steps = steps.to_vec();
                        steps[shifted].at.accesses = accesses;
                        steps.remove(left_out);
                        steps
                    },
                )
            })
        })
    })
}

/// Makes each step where it belongs, and skips those that cannot be made.
struct StepChooser<'a> {
    rest: &'a [Step],
    exactly: bool,
}

impl Chooser for StepChooser<'_> {
    fn next_stop(&self) -> usize {
        if self.rest.is_empty() { usize::MAX } else { 0 }
    }

    fn choose(&mut self, menu: &Menu<'_>) -> Answer {
        let Some(here) = Location::of(menu) else { return Answer::Take(0) };
        while let Some((step, rest)) = self.rest.split_first() {
            if !step.at.matches(&here, self.exactly) {
                if has_passed(&here, &step.at) {
                    self.rest = rest;
                    continue;
                }
                break;
            }
            self.rest = rest;
            if let Some(option) = menu.choices.iter().position(|choice| *choice == step.choice) {
                return Answer::Take(option);
            }
        }
        Answer::Take(0)
    }
}

/// Whether a base context has already passed a place.
fn has_passed(here: &Location, place: &Location) -> bool {
    here.cpu == place.cpu && place.level == 0 && here.level == 0 && here.accesses > place.accesses
}

/// Notes what a chooser chooses besides the default.
struct Recording<C> {
    inner: C,
    steps: Vec<Step>,
}

impl<C: Chooser> Chooser for Recording<C> {
    fn next_stop(&self) -> usize {
        self.inner.next_stop()
    }

    fn choose(&mut self, menu: &Menu<'_>) -> Answer {
        let answer = self.inner.choose(menu);
        if let Answer::Take(option @ 1..) = answer {
            if let (Some(at), Some(choice)) = (Location::of(menu), menu.choices.get(option)) {
                self.steps.push(Step { at, choice: *choice });
            }
        }
        answer
    }
}
