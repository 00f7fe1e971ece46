// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mutants one by one, for `cargo xtask test`, which runs them among its other steps.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use anyhow::{Context as _, bail};

use super::check::{self, CheckName, Verdict};
use super::patch::{self, Patch};
use super::tree::Tree;
use super::{MOST_COPIES, UNMUTATED_LIMIT, try_one};
use crate::guest::qemu::Qemu;
use crate::mutants::report::Fate;
use crate::workspace;

/// Copies of the source, of which each is used by one mutant at a time.
#[derive(Debug)]
pub(crate) struct Copies {
    free: Mutex<Vec<Copy>>,
    qemu: Arc<OnceLock<Qemu>>,
}

/// A folder, and the copy in it once it is up to date.
#[derive(Debug)]
struct Copy {
    folder: PathBuf,
    tree: Option<Tree>,
}

/// A mutant and the checks that must catch it.
#[derive(Debug)]
pub(crate) struct Mutant(Patch);

/// A check that must pass on the true source, and that none of `cargo xtask test`'s other steps
/// runs there.
#[derive(Debug)]
pub(crate) struct OnTrueSource(CheckName);

/// Everything that `cargo xtask test` tries.
#[derive(Debug)]
pub(crate) struct Trials {
    pub(crate) mutants: Vec<Mutant>,
    pub(crate) on_true_source: Vec<OnTrueSource>,
    /// Tests under loom that must pass on the true source.
    pub(crate) loom_tests: Vec<String>,
    /// Tests without loom that must.
    pub(crate) tests: Vec<String>,
}

impl Trials {
    /// The trials of `cargo xtask test`. Those in the simulated machine, which takes a build and a
    /// minute's search for each, only if they are wanted.
    pub(crate) fn of(in_simulation_too: bool) -> anyhow::Result<Self> {
        let mut patches = patch::read_all(&workspace::root().join("mutants"))?;
        for patch in &mut patches {
            patch.caught_by.retain(|name| in_simulation_too || !name.is_slow());
        }
        patches.retain(|patch| !patch.caught_by.is_empty());
        let mut names: Vec<_> = patches.iter().flat_map(|patch| &patch.caught_by).collect();
        names.sort();
        names.dedup();

        let (mut loom_tests, mut tests, mut on_true_source) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            match name {
                CheckName::Loom { test } => loom_tests.push(test.clone()),
                CheckName::Unit { test, .. } | CheckName::Integration { test, .. } => {
                    tests.push(test.clone());
                }
                CheckName::Bochs { .. }
                | CheckName::Simulation { .. }
                | CheckName::Comparison { .. } => on_true_source.push(OnTrueSource(name.clone())),
            }
        }
        Ok(Self {
            mutants: patches.into_iter().map(Mutant).collect(),
            on_true_source,
            loom_tests,
            tests,
        })
    }
}

impl Mutant {
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether QEMU must be there.
    pub(crate) fn is_compared(&self) -> bool {
        self.checks().any(CheckName::is_comparison)
    }

    /// The checks that must catch it.
    pub(crate) fn checks(&self) -> impl Iterator<Item = &CheckName> {
        self.0.caught_by.iter()
    }

    /// Says which checks have caught it.
    ///
    /// # Errors
    ///
    /// Its fate instead.
    pub(crate) fn try_on(&self, copies: &Copies) -> anyhow::Result<String> {
        match copies.with(|tree| try_one(tree, &self.0, UNMUTATED_LIMIT))? {
            fate @ Fate::Caught(_) => Ok(format!("{}: {fate}", self.0.what)),
            fate => bail!("{}: {fate}", self.0.what),
        }
    }
}

impl OnTrueSource {
    pub(crate) fn name(&self) -> String {
        self.0.to_string()
    }

    /// Whether QEMU must be there.
    pub(crate) fn is_compared(&self) -> bool {
        self.0.is_comparison()
    }

    /// Runs the check.
    ///
    /// # Errors
    ///
    /// When it does not pass.
    pub(crate) fn run(&self, copies: &Copies) -> anyhow::Result<()> {
        let verdict = copies.with(|tree| {
            let program = check::build(&self.0, tree)?;
            check::run(&self.0, &program, UNMUTATED_LIMIT)
        })?;
        match verdict {
            Verdict::Passed => Ok(()),
            other => bail!("`{}` must pass on the unmutated source, but: {other}", self.0),
        }
    }
}

impl Copies {
    /// One for each mutant that is tried at a time. Each is brought up to date at its first use.
    /// Those that are compared are compared with `qemu`, if that is found by then.
    pub(crate) fn new(qemu: Arc<OnceLock<Qemu>>) -> Self {
        let folder = workspace::target_dir().join("mutants");
        let copy = |number: usize| Copy { folder: folder.join(number.to_string()), tree: None };
        Self { free: Mutex::new((0..Self::count()).rev().map(copy).collect()), qemu }
    }

    pub(crate) fn count() -> usize {
        thread::available_parallelism().map_or(1, usize::from).min(MOST_COPIES)
    }

    fn with<R>(&self, job: impl FnOnce(&Tree) -> anyhow::Result<R>) -> anyhow::Result<R> {
        let free = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut copy = free().pop().context("more mutants at a time than copies of the source")?;
        let result = copy.tree(&self.qemu).and_then(job);
        free().push(copy);
        result
    }
}

impl Copy {
    fn tree(&mut self, qemu: &Arc<OnceLock<Qemu>>) -> anyhow::Result<&Tree> {
        if self.tree.is_none() {
            self.tree = Some(Tree::copy(&self.folder, Arc::clone(qemu))?);
        }
        self.tree.as_ref().context("no copy of the source")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_copy_is_used_by_one_at_a_time() {
        let copies = Copies::new(Arc::default());
        let all: Vec<_> = copies.free.lock().expect("unused").drain(..).collect();
        assert_eq!(all.len(), Copies::count());
        let error = copies.with(|_| Ok(())).expect_err("none is left");
        assert!(error.to_string().contains("copies"), "{error}");
    }

    #[test]
    fn every_check_is_run_on_the_true_source_somewhere() {
        for in_simulation_too in [false, true] {
            let trials = Trials::of(in_simulation_too).expect("good headers");
            for name in trials.mutants.iter().flat_map(Mutant::checks) {
                let is_run = match name {
                    CheckName::Loom { test } => trials.loom_tests.contains(test),
                    CheckName::Unit { test, .. } | CheckName::Integration { test, .. } => {
                        trials.tests.contains(test)
                    }
                    other => trials.on_true_source.iter().any(|it| it.0 == *other),
                };
                assert!(is_run, "{name}");
            }
        }
    }
}
