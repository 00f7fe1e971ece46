// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask demo`: another kernel's policy loses or misreports an NMI, and Latchwork does not.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use clap::Args;

use crate::explore;
use crate::process;
use crate::simulated::Named;
use crate::workspace;

/// The options of `demo`.
#[derive(Args, Debug)]
pub struct Options {
    /// Which story; without a name, all are listed
    name: Option<String>,
    /// Write the picture of its timelines here, instead of printing it
    #[arg(long, value_name = "FILE", requires = "name")]
    svg: Option<PathBuf>,
}

/// Shows a story; the value says whether it is true.
///
/// # Errors
///
/// When there is no such story, or the program that shows it cannot be built or run.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    if let Some(name) = &options.name {
        Named::Demo.check(name)?;
    }
    let program =
        explore::build_program(workspace::root(), &workspace::target_dir(), "latchwork-demo")?;
    let mut command = Command::new(program);
    command.args(&options.name);
    if let Some(file) = &options.svg {
        command.arg("--svg").arg(file);
    }
    Ok(process::status(&mut command).context("cannot run the demo")?.success())
}
