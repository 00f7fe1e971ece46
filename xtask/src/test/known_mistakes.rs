// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps that try a mutant each, and those that run a check of mutants on the true source.

use std::sync::Arc;

use super::outcome::Outcome;
use super::step::{Group, Resource, Step};
use crate::mutants::{Copies, Mutant, Trials};

/// Roughly how long one check of a mutant takes, with the build of what it needs.
const CHECK_S: f64 = 2.0;

/// Everything of `trials`.
pub(super) fn steps(trials: Trials) -> Vec<Step> {
    let copies = Arc::new(Copies::new());
    let mut steps = Vec::new();
    for check in trials.on_true_source {
        let name = format!("true-source::{}", check.name()).replace(' ', "_");
        let copies = Arc::clone(&copies);
        let work = move |_: &_| match check.run(&copies) {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::Failed(format!("{error:#}")),
        };
        let step = Step::new(name, Group::Mutants, work).using(Resource::Copies);
        steps.push(step.about(20.0));
    }
    for mutant in trials.mutants {
        steps.push(step(mutant, Arc::clone(&copies)));
    }
    steps
}

fn step(mutant: Mutant, copies: Arc<Copies>) -> Step {
    let name = format!("mutant::{}", mutant.name());
    let seconds = CHECK_S * mutant.checks().count() as f64;
    let work = move |log: &super::log::Log| match mutant.try_on(&copies) {
        Ok(caught) => {
            log.line(&caught);
            Outcome::Passed
        }
        Err(error) => Outcome::Failed(format!("{error:#}")),
    };
    Step::new(name, Group::Mutants, work).using(Resource::Copies).about(seconds)
}
