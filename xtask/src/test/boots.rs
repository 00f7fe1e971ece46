// SPDX-License-Identifier: MIT OR Apache-2.0
//! The QEMU boots: the tests of `tests/qemu`, each a check of its own.

use std::fs;

use super::commands::run_to_stderr;
use super::outcome::{Outcome, Row};
use crate::cells::CellResult;
use crate::workspace;

/// Runs the selection, or every cell, and collects what the tests noted.
pub(super) fn rows(all: bool) -> anyhow::Result<Vec<Row>> {
    eprintln!("\n=== QEMU boots");
    let notes = workspace::target_dir().join("cell-results.jsonl");
    fs::create_dir_all(workspace::target_dir())?;
    fs::write(&notes, "")?;
    let mut command = workspace::cargo();
    command
        .args(["test", "--package", "latchwork-qemu-tests"])
        .env("LATCHWORK_CELL_RESULTS", &notes);
    if all {
        command.env("LATCHWORK_ALL_CELLS", "1");
    } else {
        command.env_remove("LATCHWORK_ALL_CELLS");
    }
    let whole = run_to_stderr(command);
    collect(&fs::read_to_string(&notes)?, whole)
}

/// The rows of the noted results. A run that failed without a failed cell, or noted nothing, is a failed row itself.
fn collect(notes: &str, whole: Outcome) -> anyhow::Result<Vec<Row>> {
    let mut rows = notes
        .lines()
        .map(|line| Ok(row(serde_json::from_str(line)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    let whole = if rows.is_empty() && whole == Outcome::Passed {
        Outcome::Failed(String::from("no boot was tested"))
    } else {
        whole
    };
    if whole != Outcome::Passed && !rows.iter().any(Row::failed) {
        rows.push(Row { name: String::from("QEMU boots"), outcome: whole, seconds: 0.0 });
    }
    Ok(rows)
}

fn row(result: CellResult) -> Row {
    let reason = result.reason.unwrap_or_default();
    let outcome = match result.passed {
        Some(true) => Outcome::Passed,
        Some(false) => Outcome::Failed(reason),
        None => Outcome::Skipped(reason),
    };
    Row { name: result.cell, outcome, seconds: result.seconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTES: &str = r#"{"cell":"b","passed":true,"seconds":1.5,"reason":null}
{"cell":"a","passed":null,"seconds":0.0,"reason":"QEMU is too old"}
"#;

    #[test]
    fn cells_become_rows() {
        let rows = collect(NOTES, Outcome::Passed).expect("good notes");
        let seen: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.verdict())).collect();
        assert_eq!(seen, [("a", "skipped"), ("b", "passed")]);
    }

    #[test]
    fn a_run_that_fails_without_a_failed_cell_fails_itself() {
        let rows = collect(NOTES, Outcome::Failed("crashed".into())).expect("good notes");
        assert_eq!(rows.iter().filter(|row| row.failed()).count(), 1);
    }

    #[test]
    fn a_run_without_cells_fails() {
        let rows = collect("", Outcome::Passed).expect("no notes");
        assert!(rows.iter().all(Row::failed) && rows.len() == 1);
    }
}
