// SPDX-License-Identifier: MIT OR Apache-2.0
//! One test per boot, named like `hot_remove::q35::x2apic::cpus4::parallel`; a test that ends in
//! `fault_NAME` passes if the mistake of that name turns its scenario red. `cargo test -p
//! latchwork-qemu-tests -- FILTER` chooses among them. `cargo xtask test` makes the same boots,
//! beside its other steps.
//!
//! `LATCHWORK_ALL_CELLS=1` offers every combination instead of a selection. Where QEMU, Bochs or
//! GRUB is missing, and where this QEMU's release cannot boot a cell, this program ignores the
//! tests and prints the reason on standard error. Under CI, nothing may be missing.

use std::env;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use xtask::cells::{self, Cell};
use xtask::guest::hosts::Hosts;
use xtask::iso;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let cells = if env::var_os("LATCHWORK_ALL_CELLS").is_some() {
        cells::all()
    } else {
        cells::selection()
    };
    if arguments.list {
        let cells = cells.iter().map(Cell::name);
        let names = cells.chain(iso::Trial::ALL.map(|image| image.name().to_owned()));
        let trials = names.map(|name| Trial::test(name, || Ok(()))).collect();
        return libtest_mimic::run(&arguments, trials).exit_code();
    }
    match run(&arguments, cells) {
        Ok(conclusion) => conclusion.exit_code(),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, cells: Vec<Cell>) -> Result<Conclusion, Box<dyn std::error::Error>> {
    let hosts = Hosts::look()?;
    let mut trials = Vec::new();
    for image in iso::Trial::ALL {
        trials.push(trial(image.name(), image.prepare(&hosts)));
    }
    for cell in cells {
        if let Some(reason) = hosts.refusal(&cell) {
            trials.push(ignored(&cell.name(), &reason));
            continue;
        }
        let emulator = cell.emulator(&hosts);
        let boot = emulator.map(|emulator| move || cell.verify(emulator.as_ref()));
        trials.push(trial(&cell.name(), boot));
    }
    Ok(libtest_mimic::run(arguments, trials))
}

/// A test of this name that runs `boot`, or is ignored with the reason why it cannot run.
fn trial(
    name: &str,
    boot: Result<impl FnOnce() -> Result<(), String> + Send + 'static, String>,
) -> Trial {
    match boot {
        Ok(boot) => Trial::test(name, move || boot().map_err(Failed::from)),
        Err(reason) if xtask::under_ci() => Trial::test(name, move || Err(Failed::from(reason))),
        Err(reason) => ignored(name, &reason),
    }
}

fn ignored(name: &str, reason: &str) -> Trial {
    eprintln!("{name}: ignored: {reason}");
    Trial::test(name, || Ok(())).with_ignored_flag(true)
}
