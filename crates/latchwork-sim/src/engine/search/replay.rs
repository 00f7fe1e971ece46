// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs one execution again, and records its timeline.

use super::{Bounds, Build};
use crate::engine::{
    driver::{Answer, Chooser, Driver, End, Menu},
    timeline::{Detail, Timeline},
    trace::{Deviation, Trace},
    world::Violation,
};

/// One execution with its timeline.
#[derive(Clone, Debug)]
pub struct Replay {
    /// What did not hold.
    pub violation: Option<Violation>,
    /// The first deviation whose option did not exist: the trace is of another world.
    pub strayed: Option<Deviation>,
    /// What happened.
    pub timeline: Timeline,
}

/// Runs the execution of a trace and records its timeline.
pub fn replay(bounds: &Bounds, trace: &Trace, detail: Detail, build: &mut Build<'_>) -> Replay {
    let mut driver = Driver::new(detail);
    let mut script = Script::new(trace);
    let run = driver.run(bounds, build, &mut script);
    let violation = match run.end {
        End::Violated(violation) => Some(violation),
        End::Over | End::Cut | End::TooLong => None,
    };
    let strayed = script.strayed.or_else(|| script.rest.first().copied());
    Replay { violation, strayed, timeline: driver.engine.recorder.end() }
}

/// The chooser that takes the deviations of a trace.
pub(super) struct Script<'a> {
    rest: &'a [Deviation],
    strayed: Option<Deviation>,
}

impl<'a> Script<'a> {
    pub(super) fn new(trace: &'a Trace) -> Self {
        Self { rest: &trace.deviations, strayed: None }
    }
}

impl Chooser for Script<'_> {
    fn next_stop(&self) -> usize {
        self.rest.first().map_or(usize::MAX, |deviation| deviation.point)
    }

    fn choose(&mut self, menu: &Menu<'_>) -> Answer {
        let Some((deviation, rest)) = self.rest.split_first() else { return Answer::Take(0) };
        self.rest = rest;
        if deviation.point == menu.point && deviation.option < menu.choices.len() {
            return Answer::Take(deviation.option);
        }
        self.strayed = Some(*deviation);
        Answer::Cut
    }
}
