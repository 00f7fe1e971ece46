// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps that boot the kernel, and those that find what they boot on.

use std::sync::{Arc, OnceLock};

use super::KERNEL;
use super::commands;
use super::log::Log;
use super::outcome::Outcome;
use super::step::{Group, Load, Step};
use crate::cells::{self, Cell};
use crate::guest::hosts::Hosts;
use crate::guest::kernel::{self, Kernel};
use crate::guest::qemu::Qemu;
use crate::iso;
use crate::suites::Suite;
use crate::workspace::under_ci;

/// One QEMU, and the step that finds it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Its suite; `None` for the QEMU of this machine, or the chosen one.
    suite: Option<Suite>,
    found: Arc<OnceLock<Qemu>>,
    kernel: Arc<OnceLock<Kernel>>,
    hosts: Arc<OnceLock<Hosts>>,
    /// For boots that need no QEMU, and may be made before it is found.
    hosts_without_qemu: Arc<OnceLock<Hosts>>,
}

impl Place {
    /// This machine, whose QEMU is still to be [found](Self::has).
    pub(super) fn installed(kernel: &Arc<OnceLock<Kernel>>) -> Self {
        Self::of(None, kernel)
    }

    /// Boots there are on this one.
    pub(super) fn has(&self, qemu: Qemu) {
        let _ = self.found.set(qemu);
    }

    /// One place for each of `suites`, the newest last.
    pub(super) fn of_suites(suites: &[Suite], kernel: &Arc<OnceLock<Kernel>>) -> Vec<Self> {
        let mut suites = suites.to_vec();
        suites.sort();
        suites.dedup();
        suites.into_iter().map(|suite| Self::of(Some(suite), kernel)).collect()
    }

    fn of(suite: Option<Suite>, kernel: &Arc<OnceLock<Kernel>>) -> Self {
        let (found, hosts, hosts_without_qemu) = Default::default();
        Self { suite, found, kernel: Arc::clone(kernel), hosts, hosts_without_qemu }
    }

    /// The step that finds it.
    pub(super) fn step(&self) -> String {
        self.suite.map_or_else(|| String::from("qemu"), |suite| format!("qemu::{suite}"))
    }

    /// The emulator, as steps that are commands use it.
    pub(super) fn for_commands(&self) -> commands::Qemu {
        commands::Qemu { step: self.step(), found: Arc::clone(&self.found) }
    }

    /// The emulator, once its step has passed.
    pub(super) fn qemu(&self) -> Option<&Qemu> {
        self.found.get()
    }

    fn name(&self, test: &str) -> String {
        self.suite.map_or_else(|| test.to_owned(), |suite| format!("{suite}::{test}"))
    }

    fn find(&self, cells: &[Cell], log: &Log) -> Outcome {
        let found = match (self.suite, self.found.get()) {
            (_, Some(qemu)) => Ok(qemu.clone()),
            (None, None) => return missing(String::from("there is no QEMU, see above")),
            (Some(suite), None) => suite
                .qemu(&mut |line| log.line(line))
                .and_then(|program| Ok(Qemu::unpacked(&program)?)),
        };
        match found {
            Ok(qemu) => {
                log.line(&format!("boots on {qemu}"));
                refusals(cells, &qemu).iter().for_each(|line| log.line(line));
                let _ = self.found.set(qemu);
                Outcome::Passed
            }
            Err(error) => Outcome::Failed(format!("{error:#}")),
        }
    }

    fn hosts(&self) -> Result<&Hosts, String> {
        let kernel = self.kernel.get().ok_or("the kernel is not built")?;
        let (hosts, qemu) = match self.found.get() {
            Some(qemu) => (&self.hosts, Ok(qemu.clone())),
            None => (&self.hosts_without_qemu, Err(String::from("there is no QEMU"))),
        };
        Ok(hosts.get_or_init(|| Hosts::with(kernel.clone(), qemu)))
    }

    fn verify(&self, cell: &Cell) -> Outcome {
        if let Some(why) = self.found.get().and_then(|qemu| cell.refusal(qemu)) {
            return Outcome::Skipped(why);
        }
        match self.hosts().and_then(|hosts| cell.emulator(hosts)) {
            Ok(emulator) => verdict(cell.verify(emulator.as_ref())),
            Err(why) => missing(why),
        }
    }
}

/// The kernel, each of `places`, and every boot there: on the last, which has the newest QEMU, the
/// selection or `all`, and on the others a few.
pub(super) fn steps(places: &[Place], all: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    let Some((newest, older)) = places.split_last() else {
        return steps;
    };
    let whole = if all { cells::all() } else { cells::selection() };
    let few = cells::few();
    steps.push(build(newest));
    for (place, cells) in older.iter().map(|it| (it, &few)).chain([(newest, &whole)]) {
        let (own, there) = (place.clone(), cells.clone());
        let find = Step::new(place.step(), Group::Preparations, move |log| own.find(&there, log));
        steps.push(if place.suite.is_some() { find.loading(Load::Network) } else { find });
        steps.extend(cells.iter().map(|cell| boot(place, *cell)));
    }
    steps.extend(iso::Trial::ALL.map(|trial| image(newest, trial)));
    steps
}

fn build(place: &Place) -> Step {
    let built = Arc::clone(&place.kernel);
    let work = move |_: &Log| match kernel::obtain() {
        Ok(kernel) => {
            let _ = built.set(kernel);
            Outcome::Passed
        }
        Err(error) => Outcome::Failed(format!("{error:#}")),
    };
    Step::new(KERNEL, Group::Preparations, work).using(commands::TARGET).about(20.0)
}

fn boot(place: &Place, cell: Cell) -> Step {
    let seconds = cell.guess_s();
    let own = place.clone();
    let work = move |_: &Log| own.verify(&cell);
    let load = if cell.mostly_waits() { Load::Clock } else { Load::Processor };
    if cell.is_on_qemu() {
        let step = Step::new(place.name(&cell.name()), Group::Boots, work).loading(load);
        step.after(KERNEL).after(place.step()).about(seconds)
    } else {
        Step::new(cell.name(), Group::Boots, work).loading(load).after(KERNEL).about(seconds)
    }
}

fn image(place: &Place, trial: iso::Trial) -> Step {
    let own = place.clone();
    let work = move |_: &Log| match own.hosts().and_then(|hosts| trial.prepare(hosts)) {
        Ok(boot) => verdict(boot()),
        Err(why) => missing(why),
    };
    let step = Step::new(trial.name(), Group::Boots, work).after(KERNEL).about(15.0);
    if trial == iso::Trial::OnQemu { step.after(place.step()) } else { step }
}

/// One line for each reason for which `qemu` refuses some of `cells`.
pub(super) fn refusals(cells: &[Cell], qemu: &Qemu) -> Vec<String> {
    let mut reasons: Vec<(String, usize)> = Vec::new();
    for why in cells.iter().filter_map(|cell| cell.refusal(qemu)) {
        match reasons.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, count)) => *count += 1,
            None => reasons.push((why, 1)),
        }
    }
    let line = |(why, count): &(String, usize)| format!("{count} boots are skipped: {why}");
    reasons.iter().map(line).collect()
}

pub(super) fn verdict(result: Result<(), String>) -> Outcome {
    result.map_or_else(Outcome::Failed, |()| Outcome::Passed)
}

/// The outcome where this machine lacks something: a failure only under CI.
pub(super) fn missing(why: String) -> Outcome {
    if under_ci() { Outcome::Failed(why) } else { Outcome::Skipped(why) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::guest;
    use crate::guest::qemu::tests::complete_qemu;
    use crate::machine::{Apic, Clock, Machine, MachineType};

    fn names(suites: &[Suite], all: bool) -> Vec<String> {
        let places = match suites {
            [] => vec![Place::installed(&Arc::default())],
            _ => Place::of_suites(suites, &Arc::default()),
        };
        steps(&places, all).into_iter().map(|step| step.name).collect()
    }

    #[test]
    fn a_boot_without_qemu_does_not_decide_that_there_is_none() {
        let kernel = Arc::default();
        let place = Place::installed(&kernel);
        kernel.set(Kernel { path: "kernel".into(), target: None }).expect("unset");
        let (apic, clock) = (Apic::Xapic, Clock::Deterministic);
        let machine = Machine { machine_type: MachineType::Q35, cpus: 1, apic, clock };
        let boots = || {
            let hosts = place.hosts().expect("there is a kernel");
            hosts.emulator_on(guest::Place::Kernel, machine).map(drop)
        };
        assert_eq!(boots(), Err(String::from("there is no QEMU")));
        place.has(complete_qemu());
        assert_eq!(boots(), Ok(()));
    }

    #[test]
    fn every_boot_has_a_name_of_its_own() {
        for (suites, all) in
            [(&[][..], false), (&[], true), (&[Suite::Sid, Suite::Bookworm], false)]
        {
            let names = names(suites, all);
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{suites:?}");
        }
    }

    #[test]
    fn the_newest_boots_the_selection_and_the_others_a_few() {
        let names = names(&[Suite::Sid, Suite::Bookworm, Suite::Sid], false);
        let boots_of = |suite: Suite| {
            let beginning = format!("{suite}::");
            names.iter().filter(|name| name.starts_with(&beginning)).count()
        };
        let on_qemu = cells::selection().iter().filter(|cell| cell.is_on_qemu()).count();
        assert_eq!(boots_of(Suite::Sid), on_qemu);
        assert_eq!(boots_of(Suite::Bookworm), cells::few().len());
    }
}
