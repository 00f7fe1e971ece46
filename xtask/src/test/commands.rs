// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps that are one cargo command each.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use super::log::Log;
use super::outcome::Outcome;
use super::step::{Group, Resource, Step};
use crate::mutants::Trials;
use crate::{guest, iso, workspace};

/// One command and its environment.
#[derive(Clone, Debug)]
pub(super) struct Check {
    name: String,
    program: Option<PathBuf>,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    /// Tests that must be among those that pass.
    tests: Vec<String>,
}

/// The compiler flag that switches the core to loom's atomics.
pub(crate) const LOOM_FLAGS: &str = "--cfg loom";

/// The profile for tests of the core under loom, on the true source and on mutants.
pub(crate) const LOOM_PROFILE: &str = "loom";

/// The step that builds the programs which search the simulated machine.
const SIMULATION: &str = "simulation";

/// How many choice points are searched at random.
const CAMPAIGN_POINTS: &str = "100000000";

/// How many sequences are compared with the emulator, on each machine and with each way of
/// recovery.
const COMPARED_SEQUENCES: &str = "100";

/// Folders of build products, as resources.
pub(super) const TARGET: Resource = Resource::Builds("target");
const LOOM_TARGET: Resource = Resource::Builds("loom");

/// Every command. `qemu` is the emulator for the comparison, and the step that finds it.
pub(super) fn steps(trials: &Trials, qemu: Qemu) -> Vec<Step> {
    let loom_dir = workspace::target_dir().join("loom").to_string_lossy().into_owned();
    let under_loom =
        |check: Check| check.with("RUSTFLAGS", LOOM_FLAGS).with("CARGO_TARGET_DIR", &loom_dir);
    let clippy = Check::cargo("clippy", "clippy --workspace --all-targets");
    let clippy = clippy.and_arguments("--exclude latchwork-kernel -- -D warnings");
    let kernel_clippy =
        Check::cargo("kernel-clippy", "clippy -p latchwork-kernel --all-targets -- -D warnings");
    let loom_clippy =
        Check::cargo("loom-clippy", "clippy -p latchwork --all-targets -- -D warnings");
    let documentation =
        Check::cargo("documentation", "doc --workspace --no-deps --document-private-items");
    let tests = Check::cargo("tests", "test --workspace --exclude latchwork-qemu-tests");
    let loom =
        Check::cargo("loom", &format!("test -p latchwork --lib --profile {LOOM_PROFILE} loom"));
    let programs = "--bin latchwork-campaign --bin latchwork-sequences";
    let simulation = Check::cargo(SIMULATION, "build --profile explore --package latchwork-sim");
    let simulation = simulation.and_arguments(programs);
    let mut simulation = simulation.step().using(TARGET).about(45.0);
    simulation.group = Group::Preparations;
    vec![
        simulation,
        Check::cargo("fmt", "fmt --all --check").step(),
        clippy.step().using(TARGET).about(60.0),
        kernel_clippy.with(workspace::DEV_PANIC, "abort").step().using(TARGET).about(8.0),
        under_loom(loom_clippy).step().using(LOOM_TARGET).about(20.0),
        documentation.with("RUSTDOCFLAGS", "-D warnings").step().using(TARGET).about(15.0),
        tests.with_tests(&trials.tests).step().using(TARGET).about(120.0),
        under_loom(loom).with_tests(&trials.loom_tests).step().using(LOOM_TARGET).about(60.0),
        Check::ourselves("book", "book").step().about(60.0),
        comparison(qemu.clone()),
        one_test_of_boots(qemu),
        campaign().step().after(SIMULATION).about(8.0),
    ]
}

/// The emulator that commands use.
#[derive(Clone)]
pub(super) struct Qemu {
    /// The step that finds it.
    pub(super) step: String,
    /// The emulator, once that step has passed.
    pub(super) found: Arc<OnceLock<guest::qemu::Qemu>>,
}

impl Qemu {
    /// A step that runs `check` with this emulator.
    fn step_of(self, check: Check) -> Step {
        let (name, found) = (check.name.clone(), self.found);
        let work = move |log: &Log| match found.get() {
            Some(qemu) => check.with(guest::qemu::VARIABLE, qemu.program()).run(log),
            None => check.run(log),
        };
        Step::new(name, Group::Checks, work).using(TARGET).after(super::KERNEL).after(self.step)
    }
}

/// The simulated machine against QEMU.
fn comparison(qemu: Qemu) -> Step {
    let check = Check::ourselves("compare", &format!("compare --sequences {COMPARED_SEQUENCES}"));
    qemu.step_of(check).after(SIMULATION).about(20.0)
}

/// One boot as `cargo test` makes it. All others are steps of their own.
fn one_test_of_boots(qemu: Qemu) -> Step {
    let test = iso::Trial::OnQemu.name();
    let check =
        Check::cargo("tests-of-boots", &format!("test -p latchwork-qemu-tests -- --exact {test}"));
    qemu.step_of(check).about(10.0)
}

/// A random search of the simulated machine, on one thread beside other steps, with seeds of its
/// own.
fn campaign() -> Check {
    let arguments = format!("--points {CAMPAIGN_POINTS} --minutes 10 --threads 1");
    let program = workspace::target_dir().join("explore").join("latchwork-campaign");
    Check { program: Some(program), ..Check::cargo("campaign", &arguments) }
}

impl Check {
    pub(super) fn cargo(name: &str, arguments: &str) -> Self {
        let arguments = arguments.split_whitespace().map(str::to_owned).collect();
        Self {
            name: name.to_owned(),
            program: None,
            arguments,
            environment: Vec::new(),
            tests: Vec::new(),
        }
    }

    /// A subcommand of this program.
    fn ourselves(name: &str, arguments: &str) -> Self {
        let program = env::current_exe().unwrap_or_else(|_| PathBuf::from("xtask"));
        Self { program: Some(program), ..Self::cargo(name, arguments) }
    }

    /// Sets a variable of the command's environment.
    pub(super) fn with(mut self, variable: &'static str, value: &str) -> Self {
        self.environment.push((variable, value.to_owned()));
        self
    }

    pub(super) fn and_arguments(mut self, more: &str) -> Self {
        self.arguments.extend(more.split_whitespace().map(str::to_owned));
        self
    }

    /// Makes it fail, too, unless each of these tests is among those that pass.
    fn with_tests(mut self, tests: &[String]) -> Self {
        self.tests = tests.to_vec();
        self
    }

    /// The check as a step that waits for nothing.
    pub(super) fn step(self) -> Step {
        Step::new(self.name.clone(), Group::Checks, move |log| self.run(log))
    }

    pub(super) fn run(&self, log: &Log) -> Outcome {
        let mut command = match &self.program {
            Some(program) => Command::new(program),
            None => workspace::cargo(),
        };
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        command.env("CARGO_BUILD_JOBS", super::jobs().to_string());
        let words = self.arguments.join(" ");
        let program = command.get_program().to_string_lossy().into_owned();
        match log.run(&mut command) {
            Ok(status) if status.success() => match missing(&self.tests, &log.read()) {
                None => Outcome::Passed,
                Some(test) => Outcome::Failed(format!("test `{test}` was not run and passed")),
            },
            Ok(status) => Outcome::Failed(format!("`{program} {words}`: {status}")),
            Err(error) => Outcome::Failed(format!("{error:#}")),
        }
    }
}

/// The first of `tests` that has not passed, by the output of the test programs.
fn missing<'a>(tests: &'a [String], said: &str) -> Option<&'a str> {
    let passed = |test: &str| {
        let own = format!("test {test} ");
        said.lines().any(|line| line.starts_with(&own) && line.ends_with("ok"))
    };
    tests.iter().find(|test| !passed(test)).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_test_must_pass() {
        let said = "test a::b ... ok\ntest a::bc ... FAILED\ntest d - should panic ... ok\n";
        let names = |names: &[&str]| names.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        assert_eq!(missing(&names(&["a::b", "d"]), said), None);
        for absent in ["a::bc", "a", "b", "a::bcd"] {
            assert_eq!(missing(&names(&["a::b", absent]), said), Some(absent));
        }
    }
}
