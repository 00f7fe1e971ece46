// SPDX-License-Identifier: MIT OR Apache-2.0
//! One test per boot, named like `hot_remove::q35::x2apic::cpus4::parallel`; a test that ends in `fault_NAME` passes if the
//! mistake of that name turns its scenario red. `cargo test -p latchwork-qemu-tests -- FILTER` chooses among them.
//!
//! `LATCHWORK_ALL_CELLS=1` offers every combination instead of a selection. `LATCHWORK_CELL_RESULTS=FILE` also writes each
//! result, with its time, as one JSON line to `FILE`. Where QEMU is missing or too old, tests are ignored, and the reason
//! is on standard error; under CI they fail.

use std::env;
use std::fs::File;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use xtask::cells::{self, Cell, CellResult};
use xtask::guest::qemu::Qemu;
use xtask::guest::{Host, kernel};

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
        let trials = cells.into_iter().map(|cell| Trial::test(cell.name(), || Ok(()))).collect();
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
    let Some(qemu) = Qemu::find()? else {
        let reason = "QEMU is not installed (`apt-get install qemu-system-x86`)";
        return Ok(libtest_mimic::run(arguments, without_qemu(&cells, reason, &results)));
    };
    let host = Arc::new(Host { qemu, kernel: kernel::obtain()? });
    let trials = cells.into_iter().map(|cell| match cell.unavailable(qemu) {
        Some(reason) => unavailable(&cell, &reason, &results),
        None => trial(cell, Arc::clone(&host), Arc::clone(&results)),
    });
    Ok(libtest_mimic::run(arguments, trials.collect()))
}

fn trial(cell: Cell, host: Arc<Host>, results: Results) -> Trial {
    Trial::test(cell.name(), move || {
        let started = Instant::now();
        let outcome = cell.verify(&host);
        let result = CellResult {
            cell: cell.name(),
            passed: Some(outcome.is_ok()),
            seconds: started.elapsed().as_secs_f64(),
            reason: outcome.as_ref().err().cloned(),
        };
        note(&results, &result);
        outcome.map_err(Failed::from)
    })
}

fn without_qemu(cells: &[Cell], reason: &str, results: &Results) -> Vec<Trial> {
    cells.iter().map(|cell| unavailable(cell, reason, results)).collect()
}

/// A test that this machine cannot run: ignored, or failed where nothing may be missing.
fn unavailable(cell: &Cell, reason: &str, results: &Results) -> Trial {
    let must_run = xtask::under_ci();
    let text = reason.to_owned();
    let passed = must_run.then_some(false);
    note(
        results,
        &CellResult { cell: cell.name(), passed, seconds: 0.0, reason: Some(text.clone()) },
    );
    eprintln!("{}: {}: {reason}", cell.name(), if must_run { "failed" } else { "ignored" });
    Trial::test(cell.name(), move || Err(Failed::from(text))).with_ignored_flag(!must_run)
}

fn note(results: &Results, result: &CellResult) {
    if let Some(file) = results.as_ref() {
        let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // A result that cannot be written is missing from the reader's table, which counts that as a failure.
        drop(writeln!(file, "{}", serde_json::json!(result)));
    }
}
