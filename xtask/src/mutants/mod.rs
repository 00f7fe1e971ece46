// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask mutants`: known mistakes, applied to a copy of the source; the check that each
//! names must catch it.

mod check;
mod comparison;
mod dependencies;
mod guest;
mod list;
mod patch;
mod report;
mod simulation;
mod tree;
mod trials;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::cli::Format;
use crate::error::UserError;
use crate::nearest;
use crate::workspace;
use check::{CheckName, Verdict};
use patch::Patch;
use report::{Fate, Tried};

pub(crate) use report::Report;
use tree::Tree;
pub(crate) use trials::{Copies, Mutant, Trials};

/// xtask gives up a check on mutated source after this long, or after ten times what it takes on
/// the true source.
const SHORTEST_LIMIT: Duration = Duration::from_secs(120);

/// The options of `mutants`.
#[derive(Args, Debug)]
pub struct Options {
    /// Only the mutants whose names contain this
    filter: Option<String>,
    /// List these mutants, and try none
    #[arg(long)]
    list: bool,
    /// How the result is printed on standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Tries the mutants; the value says whether there were any and all were caught.
///
/// # Errors
///
/// When no mutant was chosen, the source cannot be copied, or a header cannot be read.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    let filter = options.filter.as_deref();
    if options.list {
        list::print(&chosen(filter, |_| true)?, options.format)?;
        return Ok(true);
    }
    let report = try_all(filter, |_| true)?;
    report.print(options.format)?;
    Ok(report.held())
}

/// Tries those that the simulated machine catches, and only there.
pub(crate) fn try_in_simulation() -> anyhow::Result<Report> {
    try_all(None, CheckName::is_in_simulation)
}

/// The name of each mutant and what is wrong in it, for the documents' tests.
#[cfg(test)]
pub(crate) fn names_and_mistakes() -> anyhow::Result<Vec<(String, String)>> {
    let patches = patch::read_all(&workspace::root().join("mutants"))?;
    Ok(patches.into_iter().map(|patch| (patch.name, patch.what)).collect())
}

/// Tries the mutants whose names contain `filter`, by those of their checks that `is_wanted`
/// accepts.
fn try_all(filter: Option<&str>, is_wanted: fn(&CheckName) -> bool) -> anyhow::Result<Report> {
    let chosen = chosen(filter, is_wanted)?;
    let trees = copies()?;
    let limit = try_unmutated(&trees, &chosen)?;
    let mut report = Report::default();
    for tried in in_turns(&trees, chosen, |tree, patch| try_named(tree, patch, limit))? {
        report.add(tried);
    }
    Ok(report)
}

/// The mutants whose names contain `filter`, each with those of its checks that `is_wanted` says.
fn chosen(filter: Option<&str>, is_wanted: fn(&CheckName) -> bool) -> anyhow::Result<Vec<Patch>> {
    let folder = workspace::root().join("mutants");
    let mut patches = patch::read_all(&folder)?;
    for patch in &mut patches {
        patch.caught_by.retain(is_wanted);
    }
    patches.retain(|patch| !patch.caught_by.is_empty());
    let wanted = |patch: &Patch| filter.is_none_or(|part| patch.name.contains(part));
    let (chosen, others): (Vec<_>, Vec<_>) = patches.into_iter().partition(wanted);
    if let (Some(part), true) = (filter, chosen.is_empty()) {
        let few = nearest::few(part, others.iter().map(|patch| patch.name.as_str()));
        return Err(UserError::NothingChosen(format!(
            "no mutant's name contains `{part}`; the nearest names are {}; `cargo xtask mutants \
             --list` lists all {}",
            few.join(", "),
            others.len()
        ))
        .into());
    }
    Ok(chosen)
}

/// Copies of the source, one for each mutant that is tried at a time.
fn copies() -> anyhow::Result<Vec<Tree>> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let folder = workspace::target_dir().join("mutants");
    (0..processors.min(MOST_COPIES))
        .map(|copy| Tree::copy(&folder.join(copy.to_string()), Arc::default()))
        .collect()
}

/// Each copy builds everything once, which costs more than further ones gain.
const MOST_COPIES: usize = 4;

/// Does `job` with each item, at the first free place. The results are in the order of the items.
fn in_turns<P: Sync, T: Send, R: Send>(
    places: &[P],
    items: Vec<T>,
    job: impl Fn(&P, T) -> anyhow::Result<R> + Sync,
) -> anyhow::Result<Vec<R>> {
    let results: Vec<_> = items.iter().map(|_| Mutex::new(None)).collect();
    let queue = Mutex::new(items.into_iter().zip(&results));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        for place in places {
            scope.spawn(|| {
                while let Some((item, result)) = next() {
                    *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(job(place, item));
                }
            });
        }
    });
    let done = results
        .into_iter()
        .map(|result| result.into_inner().unwrap_or_else(PoisonError::into_inner));
    done.map(|result| result.context("a mutant was not tried")?).collect()
}

/// Runs every check on the true source, where it must pass; the value is the time limit for mutated
/// ones.
fn try_unmutated(trees: &[Tree], patches: &[Patch]) -> anyhow::Result<Duration> {
    let names: BTreeSet<&CheckName> = patches.iter().flat_map(|patch| &patch.caught_by).collect();
    let took = in_turns(trees, names.into_iter().collect(), |tree, name| {
        let program = check::build(name, tree)
            .with_context(|| format!("`{name}` does not build on the unmutated source"))?;
        let started = Instant::now();
        match check::run(name, &program, UNMUTATED_LIMIT)? {
            Verdict::Passed => {
                eprintln!("unmutated {name}: passed ({:.1} s)", started.elapsed().as_secs_f64())
            }
            other => bail!("`{name}` must pass on the unmutated source, but: {other}"),
        }
        Ok(started.elapsed())
    })?;
    let longest = took.into_iter().max().unwrap_or_default();
    Ok(SHORTEST_LIMIT.max(longest * 10))
}

/// xtask gives up a check of the true source after this long.
const UNMUTATED_LIMIT: Duration = Duration::from_secs(600);

/// Tries one mutant and prints the result.
fn try_named(tree: &Tree, patch: Patch, limit: Duration) -> anyhow::Result<Tried> {
    let started = Instant::now();
    let fate = try_one(tree, &patch, limit)?;
    let seconds = started.elapsed().as_secs_f64();
    eprintln!(
        "mutant {}: {}\nmutant {}: {fate} ({seconds:.1} s)",
        patch.name, patch.what, patch.name
    );
    Ok(Tried { name: patch.name, what: patch.what, fate })
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_done_once_and_results_keep_its_order() {
        let places = [Mutex::new(0), Mutex::new(0)];
        let results = in_turns(&places, (0..100).collect(), |place, item| {
            *place.lock().expect("nobody panicked") += 1;
            Ok(item * 2)
        });
        assert_eq!(results.expect("no job failed"), (0..100).map(|it| it * 2).collect::<Vec<_>>());
        let done: usize = places.into_iter().map(|it| it.into_inner().expect("as before")).sum();
        assert_eq!(done, 100);
    }

    #[test]
    fn one_job_that_fails_fails_all() {
        let results = in_turns(&[(), ()], (0..100).collect(), |(), item| {
            if item == 7 { bail!("seven") } else { Ok(item) }
        });
        assert_eq!(results.expect_err("one failed").to_string(), "seven");
    }
}
