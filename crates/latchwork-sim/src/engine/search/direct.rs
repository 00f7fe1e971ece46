// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs one execution that the caller directs.

use super::{Bounds, Build};
use crate::engine::{
    driver::{Answer, Choice, Chooser, Driver, End, Menu},
    timeline::Detail,
    trace::Trace,
    world::{Event, Violation},
};

/// Directs an execution. An implementation knows the world by itself; the engine tells it which
/// events are possible.
pub trait Director {
    /// Chooses one of these events to happen now, or none. They stand in the world's order.
    /// `everybody_rests` says that no CPU can go on before something happens.
    fn choose(&mut self, events: &[Event], everybody_rests: bool) -> Option<Event>;
}

/// An execution that was directed.
#[derive(Clone, Debug)]
pub struct Directed {
    /// What did not hold.
    pub violation: Option<Violation>,
    /// Whether it came to its end, and the engine did not cut it because it was too long.
    pub is_whole: bool,
    /// The trace that [replays](super::replay()) it.
    pub trace: Trace,
}

/// Runs one execution. Where the director chooses nothing, it takes its default course.
pub fn direct(bounds: &Bounds, director: &mut dyn Director, build: &mut Build<'_>) -> Directed {
    let mut driver = Driver::new(Detail::Nothing);
    let run = driver.run(bounds, build, &mut Stage { director, events: Vec::new() });
    let is_whole = run.end != End::TooLong;
    let violation = match run.end {
        End::Violated(violation) => Some(violation),
        End::Over | End::Cut | End::TooLong => None,
    };
    Directed { violation, is_whole, trace: run.trace }
}

struct Stage<'a> {
    director: &'a mut dyn Director,
    events: Vec<Event>,
}

impl Chooser for Stage<'_> {
    fn next_stop(&self) -> usize {
        0
    }

    fn choose(&mut self, menu: &Menu<'_>) -> Answer {
        self.events.clear();
        self.events.extend(menu.choices.iter().filter_map(|choice| match choice {
            Choice::Fire(event) => Some(*event),
            _ => None,
        }));
        let everybody_rests = self.events.len() == menu.choices.len();
        let chosen = self.director.choose(&self.events, everybody_rests);
        let place = chosen.and_then(|event| {
            menu.choices.iter().position(|choice| *choice == Choice::Fire(event))
        });
        Answer::Take(place.unwrap_or(0))
    }
}
