// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line: one subcommand per module.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::guest::qemu;
use crate::{book, campaign, compare, demo, doctor, explore, iso, mutants, run, suites, test};

const EXIT_STATUS: &str = "\
Exit status: 0 if all that was booted or checked held, 1 if something did not or failed on the way,
2 if it cannot be done as asked, and 128 and the signal's number if it was told to stop.
What `run` skips is no failure, unless it was named or nothing is left to boot: that is status 2.";

/// Builds, boots and checks Latchwork.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXIT_STATUS)]
pub struct Cli {
    /// The QEMU to use: a path, or a name in PATH (default: what LATCHWORK_QEMU names, or
    /// qemu-system-x86_64)
    #[arg(long, global = true, value_name = "PATH")]
    qemu: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Boot the reference kernel under QEMU or Bochs and judge its scenarios
    Run(run::Options),
    /// Build a bootable image of the reference kernel, for emulators and real machines
    Iso(iso::Options),
    /// Run every check of the CI tier, and list them
    Test(test::Options),
    /// Search the simulated machine: our policies, other people's, and our mutants
    Explore(explore::Options),
    /// Show another kernel's policy losing or misreporting an NMI, and Latchwork on the same
    /// happenings
    Demo(demo::Options),
    /// Search the simulated machine at random and at length
    Campaign(campaign::Options),
    /// Play the same sequences of rings in the simulated machine and under QEMU, and compare the
    /// results
    Compare(compare::Options),
    /// Apply each known mistake to a copy of the source; its named check must catch it
    Mutants(mutants::Options),
    /// Build the book in docs/ into target/book, and follow every link on its pages
    Book,
    /// Unpack a Debian suite's QEMU beside what is installed, and print its path
    Unpack(suites::Options),
    /// Say what this machine has, what it lacks, and what to do about it
    Doctor,
}

/// How a result is printed on standard output.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// A table for people.
    Table,
    /// One JSON document; everything else goes to standard error.
    Json,
}

/// Runs the subcommand; the value says whether everything held.
///
/// # Errors
///
/// A [`crate::error::UserError`] when xtask cannot do what the user asked; other errors when it
/// could not run a tool.
pub fn execute(cli: Cli) -> anyhow::Result<bool> {
    match cli.qemu {
        Some(path) => qemu::choose(&path)?,
        None => qemu::choose_by_variable(),
    }
    match cli.command {
        Command::Run(options) => run::run(&options),
        Command::Iso(options) => iso::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Explore(options) => explore::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Campaign(options) => campaign::run(&options),
        Command::Compare(options) => compare::run(&options),
        Command::Mutants(options) => mutants::run(&options),
        Command::Book => book::run(),
        Command::Unpack(options) => suites::run(&options),
        Command::Doctor => doctor::run(),
    }
}
