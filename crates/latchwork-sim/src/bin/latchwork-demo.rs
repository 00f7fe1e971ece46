// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shows a story. `cargo xtask demo` builds and runs it.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::Parser;
use latchwork_sim::demo::{DEMOS, Demo};

/// Shows another kernel's policy losing or misreporting an NMI, and Latchwork on the same
/// happenings.
#[derive(Debug, Parser)]
#[command(name = "latchwork-demo")]
struct Options {
    /// Which story; all are listed if none is named
    name: Option<String>,
    /// Write the picture here instead
    #[arg(long, value_name = "FILE", requires = "name")]
    svg: Option<PathBuf>,
}

/// Exit status when this program cannot do what was asked.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let options = Options::parse();
    let Some(name) = &options.name else {
        for demo in DEMOS {
            println!("{:20} {}", demo.name, demo.summary);
        }
        return ExitCode::SUCCESS;
    };
    let Some(demo) = Demo::named(name) else {
        let known: Vec<_> = DEMOS.iter().map(|demo| demo.name).collect();
        return fail(
            UNUSABLE,
            &format!("there is no demo `{name}`; there are: {}", known.join(", ")),
        );
    };
    let performance = match demo.perform() {
        Ok(performance) => performance,
        Err(error) => return fail(1, &error),
    };
    let Some(path) = &options.svg else {
        print!("{performance}");
        return ExitCode::SUCCESS;
    };
    match fs::write(path, performance.svg()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(UNUSABLE, &format!("cannot write {}: {error}", path.display())),
    }
}

fn fail(status: u8, error: &str) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(status)
}
