// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask book`: the book in `docs/`, built as web pages, and every link on them followed.

pub(crate) mod mdbook;
mod pages;

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::{process, workspace};

/// Where mdBook writes the pages, as `docs/book.toml` says. Links to the source count on it.
const PAGES: &str = "target/book";

/// Builds the book; the value says whether every link on its pages leads somewhere.
///
/// # Errors
///
/// [`UserError::MdbookMissing`](crate::error::UserError::MdbookMissing) if there is no mdBook and
/// none could be installed; others if mdBook refuses the book, or its pages cannot be read.
pub fn run() -> anyhow::Result<bool> {
    let program = mdbook::found_or_installed()?;
    let mut build = Command::new(&program);
    build.arg("build").arg("docs").current_dir(workspace::root());
    let status = process::status(&mut build)
        .with_context(|| format!("{} cannot be run", program.display()))?;
    if !status.success() {
        bail!("mdBook refuses the book in docs/: {status}");
    }
    let site = pages::Site::at(&workspace::root().join(PAGES), &workspace::root().join("docs/src"));
    let seen = site.mend_and_check()?;
    for fault in &seen.faults {
        println!("{fault}");
    }
    println!(
        "{PAGES}/index.html: {} pages, {} links, of which {} lead nowhere",
        seen.pages,
        seen.links,
        seen.faults.len()
    );
    Ok(seen.faults.is_empty())
}
