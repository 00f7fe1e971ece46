// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where things are.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::guest::qemu::choice;

/// The repository's top folder.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The folder for build products: `CARGO_TARGET_DIR` if set, else `target`.
pub(crate) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The cargo that started us, run from the top folder. What it starts uses the QEMU that we use.
pub(crate) fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(root());
    if let Some(program) = choice::to_pass_on() {
        command.env(choice::VARIABLE, program);
    }
    command
}

/// Whether this is a CI run, where what is missing is a failure and nobody can be asked.
#[must_use]
pub fn under_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}

/// Every file that belongs to the project, committed or new, relative to its top folder.
pub(crate) fn source_files() -> anyhow::Result<BTreeSet<PathBuf>> {
    let mut command = Command::new("git");
    command.current_dir(root()).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
    ]);
    let output = command.output().context("cannot run git")?;
    ensure!(
        output.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let names = String::from_utf8(output.stdout).context("a file name is no text")?;
    let files = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    Ok(files.filter(|file| root().join(file).is_file()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_has_this_file_and_no_build_products() {
        let files = source_files().expect("a repository");
        assert!(files.contains(Path::new("xtask/src/workspace.rs")));
        assert!(!files.iter().any(|file| file.starts_with("target")));
    }
}
