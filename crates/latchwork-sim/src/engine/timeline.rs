// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happened, one column for each CPU and one for the machine.

use std::fmt;

/// A line in one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The choice point at which it happened.
    pub point: usize,
    /// The CPU, or the number of CPUs for the machine.
    pub column: usize,
    /// What.
    pub text: String,
}

/// What happened, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// How many CPUs there are.
    pub cpus: usize,
    /// What happened.
    pub entries: Vec<Entry>,
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.entries {
            writeln!(f, "{} {} {}", entry.point, entry.column, entry.text)?;
        }
        Ok(())
    }
}
