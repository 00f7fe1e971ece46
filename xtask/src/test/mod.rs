// SPDX-License-Identifier: MIT OR Apache-2.0
//! `cargo xtask test`: every check of the CI tier, one line each.

mod boots;
mod commands;
mod matrix;
mod outcome;
mod toolchains;

use std::time::Instant;

use clap::Args;

use crate::mutants;
use outcome::{Outcome, Row};

pub(crate) use commands::LOOM_FLAGS;

/// The options of `test`.
#[derive(Args, Debug)]
pub struct Options {
    /// Boot every scenario on every machine and every fault on several, and print the matrix
    #[arg(long)]
    all: bool,
    /// Also build with the oldest supported compiler and for targets that rustup need not have (see `.ci/run`)
    #[arg(long)]
    toolchains: bool,
}

/// Runs every check, whatever fails; the value says whether nothing did.
///
/// # Errors
///
/// When results cannot be collected. A check that cannot be run is a failed check.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    let mut rows = Vec::new();
    for check in commands::checks() {
        rows.push(timed(&check.name, || check.run()));
    }
    rows.push(timed("mutants", || mutants_caught(options.all)));
    if options.toolchains {
        rows.extend(toolchains::rows());
    }
    let boots = boots::rows(options.all)?;
    if options.all {
        println!("\nSeconds of each boot");
        for table in matrix::tables(&boots) {
            println!("{table}");
        }
    }
    rows.extend(boots);

    println!("\n{}", outcome::table(&rows));
    for row in rows.iter().filter(|row| row.failed()) {
        println!("FAILED {}: {}", row.name, row.reason());
    }
    let failed = rows.iter().filter(|row| row.failed()).count();
    let passed = rows.iter().filter(|row| row.passed()).count();
    println!("\n{passed} passed, {failed} failed");
    Ok(failed == 0)
}

fn mutants_caught(in_simulation_too: bool) -> Outcome {
    match mutants::all_caught(in_simulation_too) {
        Ok(true) => Outcome::Passed,
        Ok(false) => {
            Outcome::Failed(String::from("a known mistake was not caught by its check, see above"))
        }
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

/// Announces and runs one check.
fn timed(name: &str, check: impl FnOnce() -> Outcome) -> Row {
    eprintln!("\n=== {name}");
    let started = Instant::now();
    let outcome = check();
    let row = Row { name: name.to_owned(), outcome, seconds: started.elapsed().as_secs_f64() };
    eprintln!("=== {name}: {} ({:.1} s)", row.verdict(), row.seconds);
    row
}
