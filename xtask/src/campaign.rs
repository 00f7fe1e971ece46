// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask campaign`: random search of the simulated machine at length.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Context as _;
use clap::Args;

use crate::simulated::Named;
use crate::{explore, process, workspace};

/// The options of `campaign`, which the program that searches reads.
#[derive(Args, Debug)]
pub struct Options {
    /// What the campaign is to do; `--help` after `--` lists it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Searches; the value says whether nothing was violated.
///
/// # Errors
///
/// When a name is none of a policy or scenario, or the program that searches cannot be built or
/// run.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    check_names(&options.arguments)?;
    let program =
        explore::build_program(workspace::root(), &workspace::target_dir(), "latchwork-campaign")?;
    let mut command = Command::new(program);
    command.args(&options.arguments);
    Ok(process::status(&mut command).context("cannot run the campaign")?.success())
}

/// Refuses what is to be searched if there is no such thing. All else is for the program to judge.
fn check_names(arguments: &[OsString]) -> anyhow::Result<()> {
    let mut words = arguments.iter().filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (word, None),
        };
        let named = match option {
            "--policy" => Named::Policy,
            "--scenario" => Named::Scenario,
            _ => continue,
        };
        if let Some(name) = value.or_else(|| words.next()) {
            named.check(name)?;
        }
    }
    Ok(())
}
