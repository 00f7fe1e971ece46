// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tells a story. `cargo xtask demo` builds and runs it.

use std::process::ExitCode;

use clap::Parser;
use latchwork_sim::demo::{DEMOS, Demo};

/// Shows another kernel's policy losing or misreporting an NMI, and Latchwork on the same happenings.
#[derive(Debug, Parser)]
#[command(name = "latchwork-demo")]
struct Options {
    /// Which story; all are listed if none is named
    name: Option<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let Some(name) = options.name else {
        for demo in DEMOS {
            println!("{:20} {}", demo.name, demo.summary);
        }
        return ExitCode::SUCCESS;
    };
    let Some(demo) = Demo::named(&name) else {
        eprintln!("error: there is no demo `{name}`");
        return ExitCode::from(2);
    };
    match demo.perform() {
        Ok(performance) => {
            print!("{performance}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
