// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask`: see `cargo xtask help`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use xtask::cli::Cli;
use xtask::console;
use xtask::error::UserError;
use xtask::process::interruption;

/// Exit status when xtask cannot do what the user asked, as opposed to done and did not hold.
const EXIT_UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let status = match Cli::try_parse() {
        Ok(cli) => execute(cli),
        Err(answer) => print(&answer),
    };
    if let Err(interrupted) = interruption::check() {
        // Whatever failed then, failed for that reason.
        if !interrupted.is_for_want_of_a_reader() {
            console::note(format_args!("{interrupted}\n"));
        }
        return ExitCode::from(interrupted.exit_status());
    }
    if let Some(error) = console::take_failure() {
        console::note(format_args!("error: some of the result could not be printed: {error}\n"));
        return ExitCode::FAILURE;
    }
    status
}

/// Prints what the command line is answered with and nothing is done for: help, or what is wrong
/// with it.
fn print(answer: &clap::Error) -> ExitCode {
    console::keep(answer.print().and_then(|()| io::stdout().flush()));
    if answer.use_stderr() { ExitCode::from(EXIT_UNUSABLE) } else { ExitCode::SUCCESS }
}

fn execute(cli: Cli) -> ExitCode {
    let result =
        interruption::watch().map_err(anyhow::Error::from).and_then(|()| xtask::cli::execute(cli));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Told to stop, which is told otherwise.
        Err(_) if interruption::check().is_err() => ExitCode::FAILURE,
        Err(error) => {
            console::note(format_args!("error: {error:#}\n"));
            if error.downcast_ref::<UserError>().is_some() {
                ExitCode::from(EXIT_UNUSABLE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}
