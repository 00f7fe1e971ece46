// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a check came to.

use comfy_table::{Cell, CellAlignment, Table};

use crate::table;

/// What one check came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Passed,
    Failed(String),
    /// This machine cannot run it.
    Skipped(String),
}

/// One line of the result.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) outcome: Outcome,
    pub(super) seconds: f64,
}

impl Row {
    pub(super) fn passed(&self) -> bool {
        self.outcome == Outcome::Passed
    }

    pub(super) const fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }

    pub(super) const fn verdict(&self) -> &'static str {
        match self.outcome {
            Outcome::Passed => "passed",
            Outcome::Failed(_) => "FAILED",
            Outcome::Skipped(_) => "skipped",
        }
    }

    /// Why it did not pass; empty if it did.
    pub(super) fn reason(&self) -> &str {
        match &self.outcome {
            Outcome::Passed => "",
            Outcome::Failed(reason) | Outcome::Skipped(reason) => reason,
        }
    }
}

/// Every row, with its time. Of a reason only the first line is shown.
pub(super) fn table(rows: &[Row]) -> Table {
    let mut table = table::new(["check", "result", "seconds", "reason"]);
    for row in rows {
        let seconds = Cell::new(format!("{:.1}", row.seconds)).set_alignment(CellAlignment::Right);
        let reason = row.reason().lines().next().unwrap_or_default();
        table.add_row([Cell::new(&row.name), Cell::new(row.verdict()), seconds, Cell::new(reason)]);
    }
    table
}
