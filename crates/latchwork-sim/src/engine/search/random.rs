// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random executions, each from its seed.
//!
//! The search first draws how often an execution leaves the default course: in some seldom, so that
//! long undisturbed stretches occur, and in some often.

use std::ops::Range;

use fastrand::Rng;

use super::{Bounds, Build, Counterexample, Limit, Progress, Report, Verdict};
use crate::engine::{
    driver::{Answer, Choice, Chooser, Driver, End, Menu},
    timeline::Detail,
};

/// Runs one random execution for each seed, up to the first violation.
pub fn sample(bounds: &Bounds, seeds: Range<u64>, build: &mut Build<'_>) -> Report {
    let mut driver = Driver::new(Detail::Nothing);
    let mut progress = Progress::new(bounds);
    for seed in seeds {
        let run = driver.run(bounds, build, &mut Dice::new(seed));
        progress.add(&run);
        match run.end {
            End::Over | End::Cut => (),
            End::TooLong => progress.too_long += 1,
            End::Violated(violation) => {
                let found = Counterexample { violation, trace: run.trace, seed: Some(seed) };
                return progress.report(Verdict::Violated(Box::new(found)), 0);
            }
        }
        if progress.is_out_of_time() {
            return progress.report(Verdict::Unfinished(Limit::Time), 0);
        }
    }
    let verdict = progress.verdict_at_the_end();
    progress.report(verdict, 0)
}

pub(super) struct Dice {
    random: Rng,
    /// The mean number of choice points between two deviations.
    mean_gap: f64,
    /// One choice in this many is the default where the CPU that runs cannot go on.
    calm: u32,
    next_stop: usize,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let mean_gap = f64::from(1_u32 << random.u32(0..=MOST_HALVINGS));
        let calm = random.u32(1..=4);
        let mut dice = Self { random, mean_gap, calm, next_stop: 0 };
        dice.draw_gap(0);
        dice
    }

    /// The gaps are exponentially distributed, so each point is as likely as the next.
    fn draw_gap(&mut self, from: usize) {
        let gap = -self.mean_gap * (1.0 - self.random.f64()).ln();
        self.next_stop = from.saturating_add(gap as usize);
    }

    /// Draws a kind of option first. Otherwise many events would leave few draws for switches.
    fn draw_option(&mut self, choices: &[Choice], from: usize) -> usize {
        let kinds = [
            kind(choices, from, |choice| matches!(choice, Choice::Go | Choice::Switch(_))),
            kind(choices, from, |choice| matches!(choice, Choice::Drain(_))),
            kind(choices, from, |choice| matches!(choice, Choice::Fire(_))),
        ];
        let present = || kinds.iter().filter(|kind| !kind.is_empty());
        let Some(last) = present().count().checked_sub(1) else { return 0 };
        let drawn = self.random.usize(0..=last);
        present().nth(drawn).map_or(0, |kind| self.random.usize(kind.clone()))
    }
}

const MOST_HALVINGS: u32 = 9;

/// Where in the options, from `from` on, those of one kind are. They stand together.
fn kind(choices: &[Choice], from: usize, is: impl Fn(&Choice) -> bool) -> Range<usize> {
    let found = choices.iter().skip(from).position(&is).map_or(choices.len(), |at| at + from);
    let count = choices.iter().skip(found).take_while(|choice| is(choice)).count();
    found..found + count
}

impl Chooser for Dice {
    fn next_stop(&self) -> usize {
        self.next_stop
    }

    fn wants_free_points(&self) -> bool {
        true
    }

    fn choose(&mut self, menu: &Menu<'_>) -> Answer {
        let deviates = menu.point >= self.next_stop;
        if deviates {
            self.draw_gap(menu.point + 1);
        }
        let goes_on = menu.choices.first() == Some(&Choice::Go);
        let option = match (deviates, goes_on) {
            (true, true) => self.draw_option(menu.choices, 1),
            (false, false) if self.random.u32(0..self.calm) == 0 => 0,
            (false, true) if !menu.is_free => 0,
            _ => self.draw_option(menu.choices, 0),
        };
        Answer::Take(option)
    }
}
