// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs several steps at a time, each as soon as the steps that it needs have passed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use super::log::Log;
use super::outcome::{Outcome, Row};
use super::step::{Load, Resource, Step};

/// The state of all steps, under one lock.
#[derive(Debug)]
struct State {
    /// The steps that have not begun, the most urgent first.
    waiting: Vec<Step>,
    /// How many steps use each resource now.
    in_use: BTreeMap<Resource, usize>,
    /// The outcomes of the steps that are over.
    over: BTreeMap<String, Outcome>,
    rows: Vec<Row>,
}

/// What a free lane does next.
enum Next {
    Do(Step),
    /// A step that it needs did not pass, so this is its outcome.
    GiveUp(Step, Outcome),
    Wait,
    Stop,
}

/// How many steps run at a time that keep a processor busy, how many beside them that wait for a
/// guest's clock, and how many may use a copy of the source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lanes {
    pub(super) busy: usize,
    pub(super) waiting: usize,
    pub(super) copies: usize,
}

/// Does every step, in the order of `steps` as far as they need not wait, and passes each to
/// `finished`. Their logs go to `logs`.
pub(super) fn run(
    steps: Vec<Step>,
    lanes: Lanes,
    logs: &Path,
    finished: &(dyn Fn(&Row, &Log) + Sync),
) -> Vec<Row> {
    let (in_use, over) = (BTreeMap::new(), BTreeMap::new());
    let state = Mutex::new(State { waiting: steps, in_use, over, rows: Vec::new() });
    let changed = Condvar::new();
    thread::scope(|scope| {
        let (state, changed) = (&state, &changed);
        for (load, count) in
            [(Load::Network, 1), (Load::Clock, lanes.waiting), (Load::Processor, lanes.busy)]
        {
            for _ in 0..count.max(1) {
                scope.spawn(move || lane(state, changed, lanes, load, logs, finished));
            }
        }
    });
    state.into_inner().unwrap_or_else(PoisonError::into_inner).rows
}

/// One step after the other, of those with this load.
fn lane(
    state: &Mutex<State>,
    changed: &Condvar,
    lanes: Lanes,
    load: Load,
    logs: &Path,
    finished: &(dyn Fn(&Row, &Log) + Sync),
) {
    let mut now = locked(state);
    loop {
        let (name, uses, log, outcome, seconds) = match now.next(lanes, load) {
            Next::Stop => return,
            Next::Wait => {
                now = changed.wait(now).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            Next::GiveUp(step, outcome) => {
                let log = Log::new(logs, &step.name);
                (step.name, None, log, outcome, 0.0)
            }
            Next::Do(step) => {
                drop(now);
                let log = Log::new(logs, &step.name);
                let started = Instant::now();
                let outcome = (step.work)(&log);
                let seconds = started.elapsed().as_secs_f64();
                now = locked(state);
                (step.name, step.uses, log, outcome, seconds)
            }
        };
        let row = Row { name, outcome, seconds };
        finished(&row, &log);
        now.end(row, uses);
        changed.notify_all();
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn next(&mut self, lanes: Lanes, load: Load) -> Next {
        let hopeless = |(at, step): (usize, &Step)| Some((at, self.without_hope(step)?));
        if let Some((place, outcome)) = self.waiting.iter().enumerate().find_map(hopeless) {
            return Next::GiveUp(self.waiting.remove(place), outcome);
        }
        let is_mine = |step: &Step| step.load == load;
        let can_begin = |step: &Step| {
            is_mine(step)
                && step.needs.iter().all(|name| self.over.get(name) == Some(&Outcome::Passed))
                && step.uses.as_ref().is_none_or(|it| self.is_free(it, lanes))
        };
        let Some(place) = self.waiting.iter().position(can_begin) else {
            let is_over = !self.waiting.iter().any(is_mine);
            return if is_over { Next::Stop } else { Next::Wait };
        };
        let step = self.waiting.remove(place);
        if let Some(resource) = &step.uses {
            *self.in_use.entry(resource.clone()).or_default() += 1;
        }
        Next::Do(step)
    }

    /// The outcome of a step if one that it needs did not pass.
    fn without_hope(&self, step: &Step) -> Option<Outcome> {
        step.needs.iter().find_map(|name| match self.over.get(name)? {
            Outcome::Passed => None,
            Outcome::Skipped(why) => Some(Outcome::Skipped(why.clone())),
            Outcome::Failed(_) => {
                Some(Outcome::Failed(format!("it needs {name}, which did not pass")))
            }
        })
    }

    fn is_free(&self, resource: &Resource, lanes: Lanes) -> bool {
        let most = match resource {
            Resource::Builds(_) => 1,
            Resource::Copies => lanes.copies,
        };
        self.in_use.get(resource).copied().unwrap_or_default() < most
    }

    fn end(&mut self, row: Row, uses: Option<Resource>) {
        if let Some(count) = uses.and_then(|used| self.in_use.get_mut(&used)) {
            *count = count.saturating_sub(1);
        }
        self.over.insert(row.name.clone(), row.outcome.clone());
        self.rows.push(row);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::super::step::Group;
    use super::*;
    use crate::private_dir::PrivateDir;

    const LANES: Lanes = Lanes { busy: 4, waiting: 1, copies: 2 };

    fn step(name: &str, outcome: Outcome) -> Step {
        Step::new(name, Group::Checks, move |_| outcome)
    }

    fn done(steps: Vec<Step>, lanes: Lanes) -> Vec<Row> {
        let folder = PrivateDir::new().expect("a folder");
        run(steps, lanes, folder.path(), &|_, _| {})
    }

    #[test]
    fn steps_wait_for_what_they_need_and_fail_with_it() {
        let steps = vec![
            step("third", Outcome::Passed).after("second"),
            step("second", Outcome::Failed("no".into())).after("first"),
            step("first", Outcome::Passed),
            step("fourth", Outcome::Passed).after("third"),
        ];
        let rows = done(steps, LANES);
        let verdicts: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.verdict())).collect();
        let expected =
            [("first", "passed"), ("second", "FAILED"), ("third", "FAILED"), ("fourth", "FAILED")];
        assert_eq!(verdicts, expected);
        assert!(rows[2].reason().contains("second"), "{}", rows[2].reason());
    }

    #[test]
    fn what_needs_something_skipped_is_skipped_for_the_same_reason() {
        let old = || Outcome::Skipped("too old".into());
        let steps = vec![step("qemu", old()), step("boot", Outcome::Passed).after("qemu")];
        assert!(done(steps, LANES).iter().all(|row| row.outcome == old()));
    }

    #[test]
    fn what_only_waits_does_so_beside_the_lanes() {
        for load in [Load::Network, Load::Clock] {
            let (there, came) = std::sync::mpsc::channel();
            let waits = Step::new("waits", Group::Preparations, move |_| {
                match came.recv_timeout(Duration::from_secs(60)) {
                    Ok(()) => Outcome::Passed,
                    Err(_) => Outcome::Failed("the only lane waits, too".into()),
                }
            });
            let other = Step::new("other", Group::Checks, move |_| {
                there.send(()).map_or_else(|_| Outcome::Failed("late".into()), |()| Outcome::Passed)
            });
            let steps = vec![waits.loading(load), other];
            let rows = done(steps, Lanes { busy: 1, waiting: 1, copies: 1 });
            assert!(rows.iter().all(Row::passed), "{rows:?}");
        }
    }

    #[test]
    fn no_resource_is_used_by_more_than_it_is_for() {
        for (resource, most) in [(Resource::Builds("x"), 1), (Resource::Copies, 2)] {
            let (now, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let steps = (0..12).map(|number| {
                let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
                let work = move |_: &Log| {
                    peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(5));
                    now.fetch_sub(1, Ordering::SeqCst);
                    Outcome::Passed
                };
                Step::new(number.to_string(), Group::Checks, work).using(resource.clone())
            });
            assert_eq!(done(steps.collect(), LANES).len(), 12);
            assert_eq!(peak.load(Ordering::SeqCst), most, "{resource:?}");
        }
    }

    #[test]
    fn one_lane_keeps_the_order() {
        let steps = ["c", "a", "b"].map(|name| step(name, Outcome::Passed));
        let rows = done(steps.into(), Lanes { busy: 1, waiting: 1, copies: 1 });
        assert_eq!(rows.iter().map(|row| row.name.as_str()).collect::<String>(), "cab");
    }
}
