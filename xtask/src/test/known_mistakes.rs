// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps that try a mutant each, and those that run a check of mutants on the true source.

use std::sync::Arc;

use super::commands::Qemu;
use super::outcome::Outcome;
use super::step::{Group, Resource, Step};
use crate::mutants::{Copies, Mutant, Trials};

/// Roughly how long one check of a mutant takes, with the build of what it needs.
const CHECK_S: f64 = 2.0;

/// Everything of `trials`, compared with `qemu` where that is asked for.
pub(super) fn steps(trials: Trials, qemu: &Qemu) -> Vec<Step> {
    let copies = Arc::new(Copies::new(Arc::clone(&qemu.found)));
    let behind = |step: Step, is_compared: bool| match is_compared {
        true => step.after(super::KERNEL).after(&*qemu.step),
        false => step,
    };
    let mut steps = Vec::new();
    for check in trials.on_true_source {
        let name = format!("true-source::{}", check.name()).replace(' ', "_");
        let (copies, is_compared) = (Arc::clone(&copies), check.is_compared());
        let work = move |_: &_| match check.run(&copies) {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::Failed(format!("{error:#}")),
        };
        let step = Step::new(name, Group::Mutants, work).using(Resource::Copies);
        steps.push(behind(step.about(20.0), is_compared));
    }
    for mutant in trials.mutants {
        let is_compared = mutant.is_compared();
        steps.push(behind(step(mutant, Arc::clone(&copies)), is_compared));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compared_waits_for_the_emulator_of_the_boots() {
        let qemu = Qemu { step: String::from("qemu::sid"), found: Arc::default() };
        let steps = steps(Trials::of(true).expect("good headers"), &qemu);
        for compared in ["true-source::compare:1", "mutant::requests-as-bits"] {
            let step = steps.iter().find(|step| step.name == compared).expect("there is one");
            assert!(step.needs.contains(&qemu.step), "{compared} needs {:?}", step.needs);
        }
    }
}
