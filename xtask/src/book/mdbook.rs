// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finding mdBook, or installing it into the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::UserError;
use crate::workspace;

/// The release that is installed where there is none.
pub(crate) const VERSION: &str = "0.5.4";

/// The beginning of the version of every mdBook that can build the book. Other releases may refuse
/// `book.toml`.
const WILL_DO: &str = "mdbook v0.5.";

/// Where it is installed: `cargo clean` removes it.
fn home() -> PathBuf {
    workspace::target_dir().join("mdbook")
}

/// An mdBook that can build the book: one that xtask has installed here before, or one of this
/// machine.
pub(crate) fn find() -> Option<PathBuf> {
    [home().join("bin/mdbook"), PathBuf::from("mdbook")].into_iter().find(|it| will_do(it))
}

fn will_do(program: &Path) -> bool {
    let output = Command::new(program).arg("--version").output();
    output.is_ok_and(|output| {
        output.status.success() && String::from_utf8_lossy(&output.stdout).starts_with(WILL_DO)
    })
}

/// An mdBook that can build the book, built from source if there is none.
///
/// # Errors
///
/// [`UserError::MdbookMissing`] if cargo cannot install it.
pub(super) fn found_or_installed() -> Result<PathBuf, UserError> {
    if let Some(program) = find() {
        return Ok(program);
    }
    eprintln!("mdBook {VERSION} is built once, into the target folder (about a minute)");
    install().map_err(|why| UserError::MdbookMissing { why })?;
    find().ok_or_else(|| UserError::MdbookMissing {
        why: format!("what was installed in {} does not run", home().display()),
    })
}

/// Without optimisation and debug information, which would cost several times the time.
fn install() -> Result<(), String> {
    let (home, build) = (home(), home().join("build"));
    let mut cargo = workspace::cargo();
    cargo
        .args(["install", "mdbook", "--locked", "--debug", "--version", VERSION])
        .args(["--no-default-features", "--features", "search"])
        .arg("--root")
        .arg(&home)
        .arg("--target-dir")
        .arg(&build)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env_remove("RUSTFLAGS");
    match cargo.status() {
        Ok(status) if status.success() => {
            // Only the program is needed. A file that cannot be removed merely takes room.
            let _ = fs::remove_dir_all(build);
            Ok(())
        }
        Ok(status) => Err(format!("`cargo install mdbook` ended with {status}, see above")),
        Err(error) => Err(format!("cargo cannot be run: {error}")),
    }
}
