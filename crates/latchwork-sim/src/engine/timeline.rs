// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happened, one column for each CPU and one for the machine.

use std::{
    cell::{Cell, RefCell},
    fmt,
};

/// A line in one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The choice point before which it happened.
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

/// How much a replay records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Nothing.
    #[default]
    Nothing,
    /// Events, interruptions, and what the world notes.
    Notes,
    /// Each access to memory as well.
    Accesses,
}

/// Records what happens, if a timeline is wanted.
#[derive(Default)]
pub(super) struct Recorder {
    detail: Cell<Detail>,
    timeline: RefCell<Timeline>,
}

impl Recorder {
    pub(super) fn set_detail(&self, detail: Detail) {
        self.detail.set(detail);
    }

    pub(super) fn begin(&self, cpus: usize) {
        self.timeline.replace(Timeline { cpus, entries: Vec::new() });
    }

    pub(super) fn end(&self) -> Timeline {
        self.timeline.take()
    }

    #[inline]
    pub(super) fn wants_notes(&self) -> bool {
        self.detail.get() >= Detail::Notes
    }

    #[inline]
    pub(super) fn note(&self, point: usize, column: usize, text: impl FnOnce() -> String) {
        if self.wants_notes() {
            self.keep(Entry { point, column, text: text() });
        }
    }

    #[inline]
    pub(super) fn access(&self, point: usize, column: usize, text: impl FnOnce() -> String) {
        if self.detail.get() == Detail::Accesses {
            self.keep(Entry { point, column, text: text() });
        }
    }

    fn keep(&self, entry: Entry) {
        self.timeline.borrow_mut().entries.push(entry);
    }
}

/// A table: the choice point, the CPUs, the machine.
impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut heads: Vec<String> = (0..self.cpus).map(|cpu| format!("CPU {cpu}")).collect();
        heads.push("machine".into());
        let mut widths: Vec<usize> = heads.iter().map(String::len).collect();
        for entry in &self.entries {
            if let Some(width) = widths.get_mut(entry.column) {
                *width = entry.text.chars().count().max(*width);
            }
        }
        let last = heads.len().saturating_sub(1);
        let line = |f: &mut fmt::Formatter<'_>, point: String, cells: &[&str]| {
            let mut text = format!("{point:>6}");
            for (column, cell) in cells.iter().enumerate() {
                let width = if column == last { 0 } else { widths[column] };
                text += &format!("  {cell:<width$}");
            }
            writeln!(f, "{}", text.trim_end())
        };
        line(f, "point".into(), &heads.iter().map(String::as_str).collect::<Vec<_>>())?;
        for entry in &self.entries {
            let mut cells = vec![""; heads.len()];
            if let Some(cell) = cells.get_mut(entry.column) {
                *cell = &entry.text;
            }
            line(f, entry.point.to_string(), &cells)?;
        }
        Ok(())
    }
}
