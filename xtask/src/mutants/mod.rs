// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask mutants`: known mistakes, applied to a copy of the source; the check that each names must catch it.

mod check;
mod comparison;
mod guest;
mod patch;
mod report;
mod simulation;
mod tree;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::cli::Format;
use crate::error::UserError;
use crate::workspace;
use check::{CheckName, Verdict};
use patch::Patch;
use report::{Fate, Tried};

pub(crate) use report::Report;
use tree::Tree;

/// A check on mutated source is given up after this long, or after ten times what it takes on the true source.
const SHORTEST_LIMIT: Duration = Duration::from_secs(120);

/// The options of `mutants`.
#[derive(Args, Debug)]
pub struct Options {
    /// Only the mutants whose names contain this
    filter: Option<String>,
    /// How the result is printed on standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Tries the mutants; the value says whether there were any and all were caught.
///
/// # Errors
///
/// When the source cannot be copied or a header cannot be read.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    let filter = options.filter.as_deref();
    let report = try_all(filter, |_| true)?;
    report.print(options.format)?;
    Ok(report.held())
}

/// The same for `cargo xtask test`, all on standard error; in the simulated machine, which is compiled for each and searched
/// for a minute, only if that is wanted.
pub(crate) fn all_caught(in_simulation_too: bool) -> anyhow::Result<bool> {
    let report = try_all(None, if in_simulation_too { |_| true } else { |name| !name.is_slow() })?;
    eprintln!("{}", report.table());
    Ok(report.held())
}

/// Tries those that the simulated machine catches, there only.
pub(crate) fn try_in_simulation() -> anyhow::Result<Report> {
    try_all(None, CheckName::is_in_simulation)
}

/// The name of each mutant and what is wrong in it, for the documents' tests.
#[cfg(test)]
pub(crate) fn names_and_mistakes() -> anyhow::Result<Vec<(String, String)>> {
    let patches = patch::read_all(&workspace::root().join("mutants"))?;
    Ok(patches.into_iter().map(|patch| (patch.name, patch.what)).collect())
}

/// Tries the mutants whose names contain `filter`, by those of their checks that `is_wanted` says.
fn try_all(filter: Option<&str>, is_wanted: fn(&CheckName) -> bool) -> anyhow::Result<Report> {
    let folder = workspace::root().join("mutants");
    let mut patches = patch::read_all(&folder)?;
    for patch in &mut patches {
        patch.caught_by.retain(is_wanted);
    }
    patches.retain(|patch| !patch.caught_by.is_empty());
    let wanted = |patch: &Patch| filter.is_none_or(|part| patch.name.contains(part));
    let (chosen, others): (Vec<_>, Vec<_>) = patches.into_iter().partition(wanted);
    if let (Some(part), true) = (filter, chosen.is_empty()) {
        let known = others.iter().map(|patch| patch.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(UserError::NothingChosen(format!(
            "no mutant's name contains `{part}`; there are: {known}"
        ))
        .into());
    }
    let tree = Tree::copy(&workspace::target_dir().join("mutants"))?;
    let limit = try_unmutated(&tree, &chosen)?;
    let mut report = Report::default();
    for patch in chosen {
        eprintln!("mutant {}: {}", patch.name, patch.what);
        let started = Instant::now();
        let fate = try_one(&tree, &patch, limit)?;
        eprintln!("mutant {}: {fate} ({:.1} s)", patch.name, started.elapsed().as_secs_f64());
        report.add(Tried { name: patch.name, what: patch.what, fate });
    }
    Ok(report)
}

/// Runs every check on the true source, where it must pass; the value is the time limit for mutated ones.
fn try_unmutated(tree: &Tree, patches: &[Patch]) -> anyhow::Result<Duration> {
    let names: BTreeSet<&CheckName> = patches.iter().flat_map(|patch| &patch.caught_by).collect();
    let mut longest = Duration::ZERO;
    for name in names {
        let program = check::build(name, tree)
            .with_context(|| format!("`{name}` does not build on the unmutated source"))?;
        let started = Instant::now();
        match check::run(name, &program, UNMUTATED_LIMIT)? {
            Verdict::Passed => {
                eprintln!("unmutated {name}: passed ({:.1} s)", started.elapsed().as_secs_f64())
            }
            other => bail!("`{name}` must pass on the unmutated source, but: {other}"),
        }
        longest = longest.max(started.elapsed());
    }
    Ok(SHORTEST_LIMIT.max(longest * 10))
}

/// A check of the true source that takes longer than this is of no use.
const UNMUTATED_LIMIT: Duration = Duration::from_secs(600);

/// Applies one mutant, runs each check that must catch it, and puts the true source back.
fn try_one(tree: &Tree, patch: &Patch, limit: Duration) -> anyhow::Result<Fate> {
    let applied = match tree.apply(&patch.path) {
        Ok(applied) => applied,
        Err(error) => return Ok(Fate::DoesNotApply(format!("{error:#}"))),
    };
    for name in &patch.caught_by {
        let program = match check::build(name, tree) {
            Ok(program) => program,
            Err(error) => return Ok(Fate::DoesNotCompile(format!("{error:#}"))),
        };
        match check::run(name, &program, limit)? {
            Verdict::Failed => {}
            other => return Ok(Fate::Escaped(format!("{name}: {other}"))),
        }
    }
    applied.undo()?;
    Ok(Fate::Caught(patch.caught_by.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")))
}
