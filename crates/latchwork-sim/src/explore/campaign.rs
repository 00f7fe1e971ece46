// SPDX-License-Identifier: MIT OR Apache-2.0
//! A campaign: random search in many scenarios at once, up to a number of choice points or for a
//! time.
//!
//! It takes all policies and scenarios in turn, a few seeds at a time, so that whenever it ends all
//! have had about as many. Of each it minimises the first violation of each property, and no other,
//! so that one that is found often leaves time for the search. Several campaigns with seeds of
//! their own add up: their lines [merge](super::merge_lines).

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{Entry, Line, sample};
use crate::scenario::Scenario;

/// How many seeds of one policy and scenario are tried in a row.
const SEEDS_AT_ONCE: u64 = 32;

/// What a campaign is to do.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The first seed. The campaign uses those after it, too.
    pub first_seed: u64,
    /// It ends when it has passed this many choice points,
    pub points: u64,
    /// or has taken this long.
    pub longest: Duration,
    /// How many threads search.
    pub threads: usize,
}

/// How far a campaign has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Choice points that it has passed.
    pub points: u64,
    /// Since it began.
    pub elapsed: Duration,
    /// Searches that ended with a violation.
    pub violations: usize,
}

impl Progress {
    /// Choice points a second, of all threads.
    #[must_use]
    pub fn points_per_s(&self) -> f64 {
        self.points as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

impl Campaign {
    /// Searches. Passes each line to `report` as it comes, with the progress of the whole campaign.
    pub fn run(
        &self,
        chosen: &[Entry],
        scenarios: &[&'static Scenario],
        report: &(dyn Fn(&Line, Progress) + Sync),
    ) -> Progress {
        let pairs: Vec<(&Entry, &'static Scenario)> = chosen
            .iter()
            .flat_map(|entry| scenarios.iter().map(move |scenario| (entry, *scenario)))
            .filter(|(entry, scenario)| scenario.suits(&*(entry.policy)()))
            .collect();
        let begun = Instant::now();
        let (turns, points, violations) =
            (AtomicUsize::new(0), AtomicU64::new(0), AtomicUsize::new(0));
        let progress = || Progress {
            points: points.load(Ordering::Relaxed),
            elapsed: begun.elapsed(),
            violations: violations.load(Ordering::Relaxed),
        };
        let reporting = Mutex::new(());
        let minimised = Mutex::new(HashSet::new());
        let search = || {
            while !pairs.is_empty()
                && points.load(Ordering::Relaxed) < self.points
                && begun.elapsed() < self.longest
            {
                let turn = turns.fetch_add(1, Ordering::Relaxed);
                let (entry, scenario) = pairs[turn % pairs.len()];
                let first = self.first_seed + (turn / pairs.len()) as u64 * SEEDS_AT_ONCE;
                let is_new = |property| {
                    let violated = (entry.name, scenario.name, property);
                    minimised.lock().expect("nobody panics while noting it").insert(violated)
                };
                let line = sample(entry, scenario, first..first + SEEDS_AT_ONCE, &is_new);
                points.fetch_add(line.points(), Ordering::Relaxed);
                violations.fetch_add(usize::from(!line.held()), Ordering::Relaxed);
                let _one_at_a_time = reporting.lock().expect("nobody panics while reporting");
                report(&line, progress());
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(search);
            }
        });
        progress()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::policies;

    fn campaign(name: &str, scenario: &str, points: u64) -> (Vec<bool>, Progress) {
        let chosen: Vec<Entry> = policies().into_iter().filter(|it| it.name == name).collect();
        let scenario = Scenario::named(scenario).expect("a scenario");
        let longest = Duration::from_secs(600);
        let campaign = Campaign { first_seed: 7, points, longest, threads: 2 };
        let held = Mutex::new(Vec::new());
        let progress = campaign.run(&chosen, &[scenario], &|line, _| {
            held.lock().expect("nobody panics").push(line.held());
        });
        (held.into_inner().expect("nobody panics"), progress)
    }

    #[test]
    fn it_ends_when_it_has_seen_enough_and_counts_what_it_saw() {
        let (held, progress) = campaign("latchwork-poll", "tick-stops", 100_000);
        assert!(held.iter().all(|held| *held) && progress.violations == 0);
        assert!(progress.points >= 100_000 && progress.points_per_s() > 0.0);
    }

    #[test]
    fn what_breaks_is_reported_and_counted() {
        let (held, progress) = campaign("linux", "pmi-collapse-bsp", 200_000);
        assert_eq!(held.iter().filter(|held| !**held).count(), progress.violations);
        assert!(progress.violations > 1);
    }
}
