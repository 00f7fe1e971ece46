// SPDX-License-Identifier: MIT OR Apache-2.0
//! One check by name, built and run on a copy of the source: a test, a scenario on Bochs or in the
//! simulated machine, or a comparison.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::comparison::Sides;
use super::dependencies;
use super::guest::Guest;
use super::simulation::Simulation;
use super::tree::Tree;
use crate::process::{self, Captured};
use crate::test::{LOOM_FLAGS, LOOM_PROFILE};
use crate::workspace;

/// What must catch a mutant.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum CheckName {
    /// A loom test of the core: `loom:PATH`.
    Loom { test: String },
    /// A unit test: `unit:PACKAGE:PATH`.
    Unit { package: String, test: String },
    /// A test in a package's `tests` folder: `test:PACKAGE:TARGET:PATH`.
    Integration { package: String, target: String, test: String },
    /// A scenario on Bochs, and words of the reason why it must not hold there:
    /// `bochs:SCENARIO:WORDS`.
    Bochs { scenario: String, words: String },
    /// A scenario of the simulated machine, and the property that our policies must violate there:
    /// `sim:SCENARIO:PROPERTY`.
    Simulation { scenario: String, property: String },
    /// `cargo xtask compare` on so many CPUs, with the kernel of the true source: `compare:CPUS`.
    Comparison { cpus: u8 },
}

/// The package of the simulated machine.
const SIMULATION: &str = "latchwork-sim";

impl CheckName {
    /// Whether the simulated machine catches it: in a scenario, or by a test that measures there
    /// what the policy costs.
    pub(super) fn is_in_simulation(&self) -> bool {
        match self {
            Self::Simulation { .. } => true,
            Self::Unit { package, .. } => package == SIMULATION,
            Self::Loom { .. }
            | Self::Integration { .. }
            | Self::Bochs { .. }
            | Self::Comparison { .. } => false,
        }
    }

    /// Whether it takes long: the simulated machine is compiled for it.
    pub(super) fn is_slow(&self) -> bool {
        self.is_in_simulation() || self.is_comparison()
    }

    /// Whether it compares the simulated machine with QEMU.
    pub(super) fn is_comparison(&self) -> bool {
        matches!(self, Self::Comparison { .. })
    }
}

/// The program of a check.
#[derive(Debug)]
pub(super) enum Program {
    Tests(TestProgram),
    Guest(Guest),
    Simulation(Simulation),
    Comparison(Sides),
}

/// A test program, and the folder in which it runs.
#[derive(Debug)]
pub(super) struct TestProgram {
    executable: PathBuf,
    folder: PathBuf,
}

/// The verdict of one check.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Passed,
    /// It ran, and this test or this scenario failed, for the named reason.
    Failed,
    /// There is no such test, or more than one.
    NotRun,
    TimedOut,
    /// The program ended in another way, without naming the test.
    Strange(String),
}

impl FromStr for CheckName {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let is_path = |test: &str| !test.is_empty() && !test.starts_with(':');
        let read = || {
            let (kind, rest) = text.split_once(':')?;
            if kind == "loom" {
                return is_path(rest).then(|| Self::Loom { test: rest.to_owned() });
            }
            if kind == "compare" {
                let cpus = rest.parse().ok().filter(|cpus| [1, 2].contains(cpus))?;
                return Some(Self::Comparison { cpus });
            }
            let (package, rest) = rest.split_once(':')?;
            if kind == "bochs" {
                let whole = !package.is_empty() && !rest.trim().is_empty();
                let (scenario, words) = (package.to_owned(), rest.trim().to_owned());
                return whole.then_some(Self::Bochs { scenario, words });
            }
            if kind == "sim" {
                let whole = !package.is_empty() && !rest.is_empty() && !rest.contains(':');
                let (scenario, property) = (package.to_owned(), rest.to_owned());
                return whole.then_some(Self::Simulation { scenario, property });
            }
            let package = Some(package).filter(|it| !it.is_empty())?.to_owned();
            if kind == "unit" {
                return is_path(rest).then(|| Self::Unit { package, test: rest.to_owned() });
            }
            let (target, test) = rest.split_once(':')?;
            let target = Some(target).filter(|it| !it.is_empty())?.to_owned();
            (kind == "test" && is_path(test)).then(|| Self::Integration {
                package,
                target,
                test: test.to_owned(),
            })
        };
        match read() {
            Some(name) => Ok(name),
            None => bail!(
                "`{text}` is none of `loom:TEST`, `unit:PACKAGE:TEST`, `test:PACKAGE:TARGET:TEST`, \
                 `bochs:SCENARIO:WORDS`, `sim:SCENARIO:PROPERTY` and `compare:CPUS`, of 1 or 2 \
                 CPUs"
            ),
        }
    }
}

impl fmt::Display for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loom { test } => write!(f, "loom:{test}"),
            Self::Unit { package, test } => write!(f, "unit:{package}:{test}"),
            Self::Integration { package, target, test } => {
                write!(f, "test:{package}:{target}:{test}")
            }
            Self::Bochs { scenario, words } => write!(f, "bochs:{scenario}:{words}"),
            Self::Simulation { scenario, property } => write!(f, "sim:{scenario}:{property}"),
            Self::Comparison { cpus } => write!(f, "compare:{cpus}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("it passed"),
            Self::Failed => f.write_str("it failed"),
            Self::NotRun => f.write_str("no test, or more than one, has that name"),
            Self::TimedOut => f.write_str("it did not end within the time limit"),
            Self::Strange(how) => write!(f, "it ended without a verdict: {how}"),
        }
    }
}

/// Builds what `name` runs.
pub(super) fn build(name: &CheckName, tree: &Tree) -> anyhow::Result<Program> {
    let mut command = workspace::cargo();
    command.current_dir(tree.source()).arg("test").arg("--package");
    match name {
        CheckName::Loom { .. } => {
            let build_dir = tree.build_dir("loom");
            let of_true_source = workspace::target_dir().join("loom").join(LOOM_PROFILE);
            dependencies::share(&of_true_source, &build_dir.join(LOOM_PROFILE));
            command
                .args(["latchwork", "--lib", "--profile", LOOM_PROFILE])
                .env("RUSTFLAGS", LOOM_FLAGS)
                // One test is sooner over than the core is optimised.
                .env("CARGO_PROFILE_LOOM_OPT_LEVEL", "0")
                .env("CARGO_TARGET_DIR", build_dir);
        }
        CheckName::Unit { package, .. } => {
            command.args([package, "--lib"]).env("CARGO_TARGET_DIR", unit_dir(tree));
        }
        CheckName::Integration { package, target, .. } => {
            command.args([package, "--test", target]).env("CARGO_TARGET_DIR", unit_dir(tree));
        }
        CheckName::Bochs { scenario, words } => {
            return Guest::build(scenario, words, tree).map(Program::Guest);
        }
        CheckName::Simulation { scenario, property } => {
            return Simulation::build(scenario, property, tree).map(Program::Simulation);
        }
        CheckName::Comparison { cpus } => {
            return Sides::build(*cpus, tree).map(Program::Comparison);
        }
    }
    command.args(["--no-run", "--quiet", "--message-format=json-render-diagnostics"]);
    // Nobody debugs a mutant. One differs little from the other, also where CI builds all else but
    // once.
    command.env("CARGO_PROFILE_DEV_DEBUG", "false").env("CARGO_INCREMENTAL", "1");
    let output = process::output(command.stderr(Stdio::piped())).context("cannot run cargo")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    test_program(&String::from_utf8_lossy(&output.stdout))
        .map(Program::Tests)
        .context("cargo named no test program")
}

/// Where tests without loom are built.
fn unit_dir(tree: &Tree) -> PathBuf {
    let build_dir = tree.build_dir("unit");
    dependencies::share(&workspace::target_dir().join("debug"), &build_dir.join("debug"));
    build_dir
}

/// The test program in cargo's JSON messages.
fn test_program(messages: &str) -> Option<TestProgram> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["profile"]["test"] == true)
        .find_map(|message| {
            let executable = PathBuf::from(message["executable"].as_str()?);
            let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
            Some(TestProgram { executable, folder })
        })
}

/// Runs the one check that `name` names.
pub(super) fn run(name: &CheckName, program: &Program, limit: Duration) -> anyhow::Result<Verdict> {
    match (name, program) {
        (
            CheckName::Loom { test }
            | CheckName::Unit { test, .. }
            | CheckName::Integration { test, .. },
            Program::Tests(tests),
        ) => {
            let mut command = Command::new(&tests.executable);
            command.current_dir(&tests.folder).args([test, "--exact"]);
            // It is to fail, and nobody asks where.
            command.env("RUST_BACKTRACE", "0");
            let captured = process::capture(&mut command, limit).context("cannot run the tests")?;
            Ok(judge(test, &captured))
        }
        (CheckName::Bochs { .. }, Program::Guest(guest)) => guest.run(limit),
        (CheckName::Simulation { .. }, Program::Simulation(search)) => search.run(limit),
        (CheckName::Comparison { .. }, Program::Comparison(sides)) => sides.run(),
        _ => bail!("`{name}` was not built as what it is"),
    }
}

fn judge(test: &str, captured: &Captured) -> Verdict {
    let Some(status) = captured.status else {
        return Verdict::TimedOut;
    };
    let output = &captured.output;
    if !output.lines().any(|line| line == "running 1 test") {
        return Verdict::NotRun;
    }
    if status.success() {
        return Verdict::Passed;
    }
    let own_line = format!("test {test} ");
    let own_thread = format!("thread '{test}'");
    let failed = output.lines().any(|line| line.starts_with(&own_line) && line.ends_with("FAILED"));
    // A panic while another one unwinds ends the program before the test's result is printed.
    let panicked =
        output.lines().any(|line| line.starts_with(&own_thread) && line.contains("panicked"));
    if failed || panicked {
        return Verdict::Failed;
    }
    Verdict::Strange(format!("{status}: {}", output.lines().last().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(script: &str) -> Verdict {
        let captured =
            process::capture(Command::new("sh").args(["-c", script]), Duration::from_secs(30));
        judge("a::b", &captured.expect("sh runs"))
    }

    #[test]
    fn names_are_read_back_as_written() {
        for name in [
            "loom:a::b",
            "unit:latchwork-x86:icr::table",
            "test:latchwork-x86:lapic:sends::nmi",
            "bochs:shared-source:reports errors 0x40",
            "sim:tick-stops:L",
            "compare:2",
        ] {
            assert_eq!(name.parse::<CheckName>().expect(name).to_string(), name);
        }
        for name in [
            "",
            "a::b",
            "loom:",
            "loom",
            "unit:a",
            "unit::a",
            "unit:a:",
            "unit:a::b",
            "qemu:a",
            "bochs:a",
            "bochs::b",
            "bochs:a: ",
            "sim:a",
            "sim:a:",
            "sim:a:L:b",
            "compare:",
            "compare:3",
            "compare:1:poll",
            "test:a:b",
            "test:a::b",
        ] {
            assert!(name.parse::<CheckName>().is_err(), "{name}");
        }
    }

    #[test]
    fn the_simulated_machine_catches_in_scenarios_and_by_its_own_tests() {
        for (name, is_there) in [
            ("sim:tick-stops:L", true),
            ("unit:latchwork-sim:cost::polls", true),
            ("unit:latchwork:cost::polls", false),
            ("loom:a::b", false),
            ("test:latchwork-sim:ours:tick_stops", false),
        ] {
            let name: CheckName = name.parse().expect(name);
            assert_eq!(name.is_in_simulation(), is_there, "{name}");
        }
    }

    #[test]
    fn only_a_failure_of_the_named_test_is_a_failure() {
        for (script, verdict) in [
            ("echo 'running 1 test'; echo 'test a::b ... ok'", Verdict::Passed),
            ("echo 'running 1 test'; echo 'test a::b ... FAILED'; exit 101", Verdict::Failed),
            (
                "echo 'running 1 test'; echo 'test a::b - should panic ... FAILED'; exit 101",
                Verdict::Failed,
            ),
            ("echo 'running 0 tests'", Verdict::NotRun),
            ("echo 'running 2 tests'; echo 'test a::b ... FAILED'; exit 101", Verdict::NotRun),
        ] {
            assert_eq!(ran(script), verdict, "{script}");
        }
        assert!(matches!(
            ran("echo 'running 1 test'; echo 'test a::bc ... FAILED'; exit 101"),
            Verdict::Strange(_)
        ));
        assert!(matches!(ran("echo 'running 1 test'; exit 1"), Verdict::Strange(_)));
    }

    #[test]
    fn an_abort_is_a_failure_if_the_named_test_panicked() {
        let panicked = "echo 'running 1 test'; echo \"thread 'a::b' (7) panicked at x.rs:1:1:\" \
                        >&2; kill -ABRT $$";
        assert_eq!(ran(panicked), Verdict::Failed);
        assert!(matches!(ran("echo 'running 1 test'; kill -SEGV $$"), Verdict::Strange(_)));
    }

    #[test]
    fn a_test_without_end_is_no_catch() {
        let captured = process::capture(Command::new("sleep").arg("60"), Duration::from_millis(50));
        assert_eq!(judge("a::b", &captured.expect("sleep runs")), Verdict::TimedOut);
    }

    #[test]
    fn the_test_program_is_found_among_cargos_messages() {
        let messages = r#"{"profile":{"test":false},"executable":null,"manifest_path":"/w/a/Cargo.toml"}
{"profile":{"test":true},"executable":"/t/a-1","manifest_path":"/w/a/Cargo.toml"}"#;
        let program = test_program(messages).expect("there is one");
        assert_eq!(
            (program.executable, program.folder),
            (PathBuf::from("/t/a-1"), PathBuf::from("/w/a"))
        );
    }
}
