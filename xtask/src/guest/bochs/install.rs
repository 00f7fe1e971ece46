// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds Bochs, or installs it.

use super::Bochs;
use crate::error::UserError;
use crate::guest::install::{Wanted, install_if_allowed};

const WANTED: Wanted = Wanted {
    name: "Bochs",
    packages: &["bochs", "bochs-term", "bochsbios", "vgabios"],
    elsewhere: "install Bochs 2.7 with several CPUs and its display `term`, and its BIOS images, \
                with your package manager",
    uninstalled: "",
    newest: false,
};

/// Finds Bochs, or installs it if it may.
///
/// # Errors
///
/// [`UserError::BochsMissing`] when something is missing and stays so.
pub fn find_or_install(yes: bool) -> anyhow::Result<Bochs> {
    let lacking = match Bochs::find() {
        Ok(bochs) => return Ok(bochs),
        Err(lacking) => lacking,
    };
    match install_if_allowed(&WANTED, yes)? {
        Ok(()) => Bochs::find().map_err(|lacking| {
            let remedy = String::from("its packages were installed, and that did not help");
            UserError::BochsMissing { lacking, remedy }.into()
        }),
        Err(remedy) => Err(UserError::BochsMissing { lacking, remedy }.into()),
    }
}

/// What to do where something is missing, for `doctor`.
pub(crate) fn remedy() -> String {
    format!("`apt-get install {}`", WANTED.packages.join(" "))
}
