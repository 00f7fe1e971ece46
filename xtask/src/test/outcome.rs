// SPDX-License-Identifier: MIT OR Apache-2.0
//! The outcome of a step.

/// The outcome of one step.
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

/// A duration as people say it.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, _) => format!("{seconds:.1} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_in_two_units_at_most() {
        for (seconds, said) in [
            (0.0, "0.0 s"),
            (12.34, "12.3 s"),
            (60.0, "1 min 00 s"),
            (869.7, "14 min 30 s"),
            (3661.0, "1 h 01 min"),
        ] {
            assert_eq!(duration(seconds), said);
        }
    }
}
