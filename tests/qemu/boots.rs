// SPDX-License-Identifier: MIT OR Apache-2.0
//! One test per boot, named like `hot_remove::q35::x2apic::cpus4::parallel`; a test that ends in `fault_NAME` passes if the
//! mistake of that name turns its scenario red. `cargo test -p latchwork-qemu-tests -- FILTER` chooses among them.
//!
//! `LATCHWORK_ALL_CELLS=1` offers every combination instead of a selection. `LATCHWORK_CELL_RESULTS=FILE` also writes each
//! result, with its time, as one JSON line to `FILE`. Where QEMU is missing or too old, or Bochs or GRUB is missing, tests
//! are ignored, and the reason is on standard error; under CI they fail.

use std::env;
use std::fs::File;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use xtask::cells::{self, Cell, CellResult};
use xtask::guest::hosts::Hosts;
use xtask::iso;

/// Where results are written besides standard output.
type Results = Arc<Option<Mutex<File>>>;

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
    let results: Results = match env::var_os("LATCHWORK_CELL_RESULTS") {
        Some(path) => Arc::new(Some(Mutex::new(File::create(path)?))),
        None => Arc::new(None),
    };
    let hosts = Hosts::look()?;
    let mut trials = Vec::new();
    for image in iso::Trial::ALL {
        trials.push(trial(image.name(), image.prepare(&hosts), &results));
    }
    for cell in cells {
        let emulator = cell.emulator(&hosts);
        let boot = emulator.map(|emulator| move || cell.verify(emulator.as_ref()));
        trials.push(trial(&cell.name(), boot, &results));
    }
    Ok(libtest_mimic::run(arguments, trials))
}

/// A test of this name that does `boot`, or says why it cannot.
fn trial(
    name: &str,
    boot: Result<impl FnOnce() -> Result<(), String> + Send + 'static, String>,
    results: &Results,
) -> Trial {
    match boot {
        Ok(boot) => boot_trial(name, boot, Arc::clone(results)),
        Err(reason) => unavailable(name, &reason, results),
    }
}

fn boot_trial(
    name: &str,
    boot: impl FnOnce() -> Result<(), String> + Send + 'static,
    results: Results,
) -> Trial {
    let cell = name.to_owned();
    Trial::test(name, move || {
        let started = Instant::now();
        let outcome = boot();
        let result = CellResult {
            cell,
            passed: Some(outcome.is_ok()),
            seconds: started.elapsed().as_secs_f64(),
            reason: outcome.as_ref().err().cloned(),
        };
        note(&results, &result);
        outcome.map_err(Failed::from)
    })
}

/// A test that this machine cannot run: ignored, or failed where nothing may be missing.
fn unavailable(name: &str, reason: &str, results: &Results) -> Trial {
    let must_run = xtask::under_ci();
    let text = reason.to_owned();
    let passed = must_run.then_some(false);
    note(
        results,
        &CellResult { cell: name.to_owned(), passed, seconds: 0.0, reason: Some(text.clone()) },
    );
    eprintln!("{name}: {}: {reason}", if must_run { "failed" } else { "ignored" });
    Trial::test(name, move || Err(Failed::from(text))).with_ignored_flag(!must_run)
}

fn note(results: &Results, result: &CellResult) {
    if let Some(file) = results.as_ref() {
        let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // A result that cannot be written is missing from the reader's table, which counts that as a failure.
        drop(writeln!(file, "{}", serde_json::json!(result)));
    }
}
