// SPDX-License-Identifier: MIT OR Apache-2.0
//! A copy of the source, which a patch mutates and which is then restored.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, bail, ensure};

use crate::guest::qemu::Qemu;
use crate::workspace;

/// The copy, and where what is built from it goes.
#[derive(Debug)]
pub(super) struct Tree {
    folder: PathBuf,
    /// The QEMU with which mutants are compared, once it is found; without it, this machine's.
    qemu: Arc<OnceLock<Qemu>>,
}

/// An applied patch. Its drop, or [`Applied::undo`], restores the true source.
#[derive(Debug)]
pub(super) struct Applied {
    originals: Vec<(PathBuf, Vec<u8>)>,
}

impl Tree {
    /// Brings the copy in `folder` up to date. It does not touch files that have not changed, so
    /// that what was built from them stays valid.
    pub(super) fn copy(folder: &Path, qemu: Arc<OnceLock<Qemu>>) -> anyhow::Result<Self> {
        let tree = Self { folder: folder.to_owned(), qemu };
        let sources = workspace::source_files()?;
        for file in &sources {
            copy_if_different(&workspace::root().join(file), &tree.source().join(file))?;
        }
        remove_others(&tree.source(), &tree.source(), &sources)?;
        Ok(tree)
    }

    pub(super) fn source(&self) -> PathBuf {
        self.folder.join("tree")
    }

    pub(super) fn qemu(&self) -> Option<&Qemu> {
        self.qemu.get()
    }

    pub(super) fn build_dir(&self, kind: &str) -> PathBuf {
        self.folder.join("build").join(kind)
    }

    /// Applies a patch, which must change something and apply without guessing.
    pub(super) fn apply(&self, patch: &Path) -> anyhow::Result<Applied> {
        let touched = self.git_apply(&["--numstat", "-z"], patch)?;
        let mut originals = Vec::new();
        for entry in touched.split('\0').filter(|entry| !entry.is_empty()) {
            let file = entry.rsplit('\t').next().unwrap_or_default();
            let path = self.source().join(file);
            let content = fs::read(&path)
                .with_context(|| format!("it touches {file}, which cannot be read"))?;
            originals.push((path, content));
        }
        ensure!(!originals.is_empty(), "it touches no file");
        let applied = Applied { originals };
        self.git_apply(&[], patch)?;
        for (path, original) in &applied.originals {
            ensure!(fs::read(path)? != *original, "it leaves {} as it was", path.display());
        }
        Ok(applied)
    }

    fn git_apply(&self, arguments: &[&str], patch: &Path) -> anyhow::Result<String> {
        let mut command = Command::new("git");
        command.arg("apply").args(arguments).arg("-p1").arg(fs::canonicalize(patch)?);
        // Inside a repository, `git apply` would silently skip what lies outside the current
        // folder.
        command
            .current_dir(self.source())
            .env("GIT_CEILING_DIRECTORIES", fs::canonicalize(&self.folder)?);
        command.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
        let output = command.output().context("cannot run git")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Applied {
    /// Restores the true source.
    pub(super) fn undo(mut self) -> anyhow::Result<()> {
        self.restore()
    }

    fn restore(&mut self) -> anyhow::Result<()> {
        for (path, original) in self.originals.drain(..) {
            fs::write(&path, original)
                .with_context(|| format!("cannot restore {}", path.display()))?;
        }
        Ok(())
    }
}

impl Drop for Applied {
    fn drop(&mut self) {
        if let Err(error) = self.restore() {
            eprintln!("warning: {error:#}; the next run copies it again");
        }
    }
}

fn copy_if_different(from: &Path, to: &Path) -> anyhow::Result<()> {
    let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|present| present == content) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(to, content).with_context(|| format!("cannot write {}", to.display()))
}

/// Removes what an earlier copy left and the source no longer has.
fn remove_others(top: &Path, folder: &Path, wanted: &BTreeSet<PathBuf>) -> anyhow::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(top, &path, wanted)?;
        } else if path.strip_prefix(top).is_ok_and(|file| !wanted.contains(file)) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::{env, process};

    use super::*;

    /// A folder that is removed when this is dropped.
    struct Scratch {
        path: PathBuf,
    }

    impl Scratch {
        fn new() -> Self {
            static MADE: AtomicUsize = AtomicUsize::new(0);
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let path = env::temp_dir().join(format!("latchwork-xtask-{}-{number}", process::id()));
            fs::create_dir(&path).expect("a folder");
            Self { path }
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.path));
        }
    }

    const PATCH: &str =
        "# name: m\n--- a/dir/x\n+++ b/dir/x\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n";

    /// A tree of one file, and a patch file beside it.
    fn tree_with(patch: &str) -> (Scratch, Tree, PathBuf) {
        let folder = Scratch::new();
        let tree = Tree { folder: folder.path.as_path().to_owned(), qemu: Arc::default() };
        fs::create_dir_all(tree.source().join("dir")).expect("a folder");
        fs::write(tree.source().join("dir/x"), "one\ntwo\n").expect("a file");
        let file = folder.path.as_path().join("m.patch");
        fs::write(&file, patch).expect("a file");
        (folder, tree, file)
    }

    fn content(tree: &Tree) -> String {
        fs::read_to_string(tree.source().join("dir/x")).expect("a file")
    }

    #[test]
    fn a_patch_is_applied_and_undone() {
        let (_folder, tree, patch) = tree_with(PATCH);
        let applied = tree.apply(&patch).expect("it applies");
        assert_eq!(content(&tree), "one\nthree\n");
        applied.undo().expect("it can be undone");
        assert_eq!(content(&tree), "one\ntwo\n");
    }

    #[test]
    fn a_dropped_patch_is_undone() {
        let (_folder, tree, patch) = tree_with(PATCH);
        drop(tree.apply(&patch).expect("it applies"));
        assert_eq!(content(&tree), "one\ntwo\n");
    }

    #[test]
    fn what_does_not_apply_is_an_error_and_changes_nothing() {
        for patch in [
            PATCH.replace("-two", "-2"),
            PATCH.replace("dir/x", "dir/y"),
            String::from("# name: m\n"),
        ] {
            let (_folder, tree, file) = tree_with(&patch);
            assert!(tree.apply(&file).is_err(), "{patch}");
            assert_eq!(content(&tree), "one\ntwo\n");
        }
    }

    #[test]
    fn only_changed_files_are_written_and_leftovers_go() {
        let folder = Scratch::new();
        let path = |name: &str| folder.path.as_path().join(name);
        fs::write(path("from"), "new").expect("a file");
        copy_if_different(&path("from"), &path("deep/to")).expect("copied");
        let written =
            fs::metadata(path("deep/to")).and_then(|data| data.modified()).expect("a time");
        copy_if_different(&path("from"), &path("deep/to")).expect("left alone");
        assert_eq!(
            fs::metadata(path("deep/to")).and_then(|data| data.modified()).expect("a time"),
            written
        );
        remove_others(
            folder.path.as_path(),
            folder.path.as_path(),
            &BTreeSet::from([PathBuf::from("from")]),
        )
        .expect("removed");
        assert!(path("from").exists() && !path("deep/to").exists());
    }
}
