// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask`: see `cargo xtask help`.

use std::process::ExitCode;

use clap::Parser as _;
use xtask::cli::Cli;
use xtask::error::UserError;

/// Exit status when what was asked cannot be done at all, as opposed to was done and did not hold.
const EXIT_UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    match xtask::cli::execute(Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.downcast_ref::<UserError>().is_some() {
                ExitCode::from(EXIT_UNUSABLE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}
