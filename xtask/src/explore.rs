// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask explore`: policies in the simulated machine, ours and other people's, and our own
//! mutants.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::cli::Format;
use crate::error::UserError;
use crate::simulated::Named;
use crate::{console, mutants, process, workspace};

/// The policies that are ours.
pub(crate) const OUR_POLICIES: [&str; 2] = ["latchwork-poll", "latchwork-probe"];

/// The options of `explore`.
#[derive(Args, Debug)]
pub struct Options {
    /// Only this policy; may be given several times
    #[arg(long, value_name = "NAME")]
    policy: Vec<String>,
    /// Only this scenario; may be given several times
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// How far the exhaustive search goes (default: full)
    #[arg(long, value_enum)]
    bounds: Option<Bounds>,
    /// Replay this trace of the one policy and scenario that are named, and print its timeline
    #[arg(long, value_name = "TRACE", conflicts_with = "seed_range")]
    replay: Option<String>,
    /// The trace is of random search
    #[arg(long, requires = "replay")]
    long: bool,
    /// Random instead of exhaustive search: one execution for each of these seeds, a JSON line for
    /// each scenario
    #[arg(long, value_name = "A..B")]
    seed_range: Option<String>,
    /// Leave out the mutants, which are compiled one by one
    #[arg(long)]
    no_mutants: bool,
    /// List policies and scenarios
    #[arg(
        long,
        conflicts_with_all = [
            "policy", "scenario", "bounds", "replay", "seed_range", "no_mutants", "format"
        ]
    )]
    list: bool,
    /// How the result is printed on standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// How often CPUs that could go on make way for others, in exhaustive search.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Bounds {
    /// Never: CPUs change where one waits or halts
    None,
    /// Once in each execution; takes seconds
    Small,
    /// As often as each scenario says; takes minutes
    Full,
}

impl Bounds {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Small => "small",
            Self::Full => "full",
        }
    }
}

/// A policy in the explorer's JSON, with the fields that xtask uses.
#[derive(Debug, Deserialize)]
pub(crate) struct Policy {
    /// Each property and `held` or `violated`.
    pub(crate) properties: BTreeMap<String, String>,
}

/// The program that searches.
#[derive(Debug)]
pub(crate) struct Explorer {
    program: PathBuf,
}

impl Explorer {
    /// Builds it from the source at `root`.
    pub(crate) fn build(root: &Path, target_dir: &Path) -> anyhow::Result<Self> {
        Ok(Self { program: build_program(root, target_dir, "latchwork-explore")? })
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }
}

/// Builds that program of the simulated machine from the source at `root`, with optimisation, and
/// unwinding for panics on simulated CPUs. Returns where it is.
pub(crate) fn build_program(root: &Path, target_dir: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let mut command = workspace::cargo();
    command
        .current_dir(root)
        .args(["build", "--quiet", "--profile", "explore", "--package", "latchwork-sim"])
        .args(["--bin", name])
        .env("CARGO_TARGET_DIR", target_dir);
    let output = process::output(command.stderr(Stdio::piped())).context("cannot run cargo")?;
    let messages = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", messages.trim());
    Ok(target_dir.join("explore").join(name))
}

/// Explores; the value says whether our policies held every property and the search caught
/// everything else.
///
/// # Errors
///
/// When the explorer cannot be built or run, or does not have what the user asked for.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    check_names(options)?;
    let explorer = Explorer::build(workspace::root(), &workspace::target_dir())?;
    let mut command = Command::new(explorer.program());
    pass_on(options, &mut command);
    let is_whole_table = options.replay.is_none()
        && options.seed_range.is_none()
        && !options.list
        && options.policy.is_empty()
        && options.scenario.is_empty();
    if !is_whole_table || options.no_mutants {
        return Ok(process::status(&mut command).context("cannot run the explorer")?.success());
    }
    match options.format {
        Format::Table => {
            let held = process::status(&mut command).context("cannot run the explorer")?.success();
            if console::has_failed() {
                return Ok(false);
            }
            let report = mutants::try_in_simulation()?;
            println!("{}", report.table());
            Ok(held && report.held())
        }
        Format::Json => print_json(&mut command),
    }
}

/// Refuses what is to be searched if there is no such thing, or not one thing to replay.
fn check_names(options: &Options) -> anyhow::Result<()> {
    options.policy.iter().try_for_each(|name| Named::Policy.check(name))?;
    options.scenario.iter().try_for_each(|name| Named::Scenario.check(name))?;
    let Options { policy, scenario, replay, .. } = options;
    if replay.is_some() && (policy.len() != 1 || scenario.len() != 1) {
        let words = "name one --policy and one --scenario to replay a trace in";
        return Err(UserError::NothingChosen(words.to_owned()).into());
    }
    Ok(())
}

fn pass_on(options: &Options, command: &mut Command) {
    for policy in &options.policy {
        command.args(["--policy", policy]);
    }
    for scenario in &options.scenario {
        command.args(["--scenario", scenario]);
    }
    for (name, value) in [("--replay", &options.replay), ("--seed-range", &options.seed_range)] {
        if let Some(value) = value {
            command.args([name, value]);
        }
    }
    if let Some(bounds) = options.bounds {
        command.args(["--bounds", bounds.name()]);
    }
    if options.list {
        command.arg("--list");
    }
    if options.long {
        command.arg("--long");
    }
    if options.format == Format::Json {
        command.args(["--format", "json"]);
    }
}

/// The explorer's document, with our mutants.
fn print_json(command: &mut Command) -> anyhow::Result<bool> {
    let output = process::output(command).context("cannot run the explorer")?;
    let mut document: Map<String, Value> =
        serde_json::from_slice(&output.stdout).context("in the explorer's JSON")?;
    let report = mutants::try_in_simulation()?;
    let held = output.status.success() && report.held();
    document.insert(String::from("mutants"), report.entries()?);
    document.insert(String::from("held"), Value::Bool(held));
    println!("{}", serde_json::to_string(&document)?);
    Ok(held)
}
