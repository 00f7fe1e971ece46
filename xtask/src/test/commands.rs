// SPDX-License-Identifier: MIT OR Apache-2.0
//! The checks that are one cargo command each.

use std::io;
use std::process::{Command, Stdio};

use super::outcome::Outcome;
use crate::{process, workspace};

/// One command and what is set in its environment.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) name: String,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

/// The compiler flag that switches the core to loom's atomics.
pub(crate) const LOOM_FLAGS: &str = "--cfg loom";

/// Every command, in the order of what it costs.
pub(super) fn checks() -> Vec<Check> {
    let loom_dir = workspace::target_dir().join("loom").to_string_lossy().into_owned();
    let under_loom =
        |check: Check| check.with("RUSTFLAGS", LOOM_FLAGS).with("CARGO_TARGET_DIR", &loom_dir);
    vec![
        Check::cargo("fmt", "fmt --all --check"),
        Check::cargo("clippy", "clippy --workspace --all-targets -- -D warnings"),
        under_loom(Check::cargo(
            "clippy under loom",
            "clippy -p latchwork --all-targets -- -D warnings",
        )),
        Check::cargo("documentation", "doc --workspace --no-deps --document-private-items")
            .with("RUSTDOCFLAGS", "-D warnings"),
        Check::cargo("the book", "run --quiet --package xtask -- book"),
        Check::cargo(
            "unit, doc and compile-fail tests",
            "test --workspace --exclude latchwork-qemu-tests",
        ),
        under_loom(Check::cargo("loom", "test -p latchwork --lib --release loom")),
        Check::cargo(
            "the simulated machine against QEMU",
            "run --quiet --package xtask -- compare --sequences 100",
        ),
        Check::cargo(
            "random search of the simulated machine, with seeds of its own",
            "run --quiet --profile explore -p latchwork-sim --bin latchwork-campaign -- --points 100000000 --minutes 2",
        ),
    ]
}

impl Check {
    pub(super) fn cargo(name: &str, arguments: &str) -> Self {
        let arguments = arguments.split_whitespace().map(str::to_owned).collect();
        Self { name: name.to_owned(), arguments, environment: Vec::new() }
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

    pub(super) fn run(&self) -> Outcome {
        let mut command = workspace::cargo();
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        run_to_stderr(command)
    }
}

/// Runs a command whose whole output goes to standard error.
pub(super) fn run_to_stderr(mut command: Command) -> Outcome {
    let status = process::status(command.stdin(Stdio::null()).stdout(Stdio::from(io::stderr())));
    let words = command.get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    match status {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(format!("`cargo {words}`: {status}")),
        Err(error) => Outcome::Failed(format!("`cargo {words}` cannot be run: {error}")),
    }
}
