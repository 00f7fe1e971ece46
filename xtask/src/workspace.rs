// SPDX-License-Identifier: MIT OR Apache-2.0
//! The places of the repository and of its build products.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io, process};

use anyhow::{Context as _, ensure};
use nix::sys::statvfs::statvfs;

use crate::error::UserError;
use crate::guest::qemu::choice;

/// A mebibyte.
const MIB: u64 = 1024 * 1024;

/// If a build fails with less space than this left, the lack of space may be the reason: some
/// products have tens of mebibytes, and cargo removes what it could not write.
const LITTLE_SPACE_MIB: u64 = 64;

/// The repository's top folder.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// The folder for build products: `CARGO_TARGET_DIR` if set, else `target`.
pub(crate) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Makes the folder for build products, and checks that xtask can write to it.
///
/// # Errors
///
/// [`UserError::CannotBuildThere`] when it cannot.
pub(crate) fn check_target_dir(folder: &Path) -> Result<(), UserError> {
    let refuse = |error: io::Error| UserError::CannotBuildThere {
        path: folder.display().to_string(),
        why: error.to_string(),
    };
    fs::create_dir_all(folder).map_err(refuse)?;
    let probe = folder.join(format!(".latchwork-{}", process::id()));
    // A full file system may still take an empty file.
    let written = fs::write(&probe, [0; 4096]);
    drop(fs::remove_file(&probe));
    written.map_err(refuse)
}

/// Refuses `folder` if a build that failed there may have failed for lack of space.
pub(crate) fn check_space(folder: &Path) -> Result<(), UserError> {
    // Where the free space is unknown, cargo's message stands.
    match free_mib(folder).filter(|&free_mib| free_mib < LITTLE_SPACE_MIB) {
        Some(free_mib) => Err(UserError::NoSpace { path: folder.display().to_string(), free_mib }),
        None => Ok(()),
    }
}

/// How many mebibytes are free in that folder, if that can be read.
pub(crate) fn free_mib(folder: &Path) -> Option<u64> {
    let seen = statvfs(folder).ok()?;
    Some(seen.blocks_available().saturating_mul(seen.fragment_size()) / MIB)
}

/// What a panic does in profile `dev`. The workspace says `abort`, for the kernel; tests unwind
/// whatever it says. Where that differs, cargo compiles all that programs and tests share twice.
pub(crate) const DEV_PANIC: &str = "CARGO_PROFILE_DEV_PANIC";

/// The cargo that started us, run from the top folder, with panics that unwind in profile `dev`.
/// Programs that it starts use our QEMU.
pub(crate) fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(root()).env(DEV_PANIC, "unwind");
    if let Some(program) = choice::to_pass_on() {
        command.env(choice::VARIABLE, program);
    }
    command
}

/// Whether this is a CI run, where a missing tool is a failure and there is nobody to ask.
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
