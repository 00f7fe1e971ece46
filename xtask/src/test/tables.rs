// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plan and the results, as tables and lines.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment, Table};

use super::outcome::{Row, duration};
use super::record::Record;
use super::step::{Group, Step};
use crate::table;

/// How many of the slowest steps are printed.
const SLOWEST: usize = 10;

/// Every step by name, with its record.
pub(super) fn list(steps: &[Step], record: &Record) -> Table {
    let mut table = table::new(["step", "group", "last time", "seconds"]);
    for step in steps {
        let result = record.result(&step.name).unwrap_or("-");
        table.add_row([
            Cell::new(&step.name),
            Cell::new(step.group.name()),
            Cell::new(result),
            seconds(record.seconds(&step.name)),
        ]);
    }
    table
}

/// The plan, with how long it took last time: the checks one by one, and the sums of other groups.
pub(super) fn plan(steps: &[Step], record: &Record) -> Table {
    let mut table = table::new(["what", "steps", "seconds last time"]);
    let mut add = |what: &str, steps: &[&Step]| {
        let known: Vec<_> = steps.iter().filter_map(|step| record.seconds(&step.name)).collect();
        let sum = (known.len() == steps.len()).then(|| known.iter().sum());
        let count = Cell::new(steps.len()).set_alignment(CellAlignment::Right);
        table.add_row([Cell::new(what), count, seconds(sum)]);
    };
    for group in Group::ALL {
        let of_group: Vec<_> = steps.iter().filter(|step| step.group == group).collect();
        match group {
            Group::Preparations | Group::Checks => {
                of_group.iter().for_each(|step| add(&step.name, &[step]));
            }
            Group::Mutants | Group::Toolchains | Group::Boots if !of_group.is_empty() => {
                add(group.name(), &of_group);
            }
            Group::Mutants | Group::Toolchains | Group::Boots => {}
        }
    }
    table
}

/// The results, a line for each group.
pub(super) fn results(rows: &[Row], groups: &BTreeMap<String, Group>) -> Table {
    let mut table = table::new(["what", "passed", "FAILED", "skipped", "seconds"]);
    for group in Group::ALL {
        let of_group: Vec<_> =
            rows.iter().filter(|row| groups.get(&row.name) == Some(&group)).collect();
        if of_group.is_empty() {
            continue;
        }
        let count = |verdict: &str| {
            let count = of_group.iter().filter(|row| row.verdict() == verdict).count();
            Cell::new(count).set_alignment(CellAlignment::Right)
        };
        table.add_row([
            Cell::new(group.name()),
            count("passed"),
            count("FAILED"),
            count("skipped"),
            seconds(Some(of_group.iter().map(|row| row.seconds).sum())),
        ]);
    }
    table
}

/// A line for each reason why something was skipped.
pub(super) fn skipped(rows: &[Row]) -> Vec<String> {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.verdict() == "skipped") {
        let reason = row.reason().lines().next().unwrap_or_default();
        reasons.entry(reason).or_default().push(&row.name);
    }
    let line = |(reason, names): (&str, Vec<&str>)| match names.as_slice() {
        [name] => format!("skipped {name}: {reason}"),
        [name, ..] => format!("skipped {name} and {} more: {reason}", names.len() - 1),
        [] => String::new(),
    };
    reasons.into_iter().map(line).collect()
}

/// The slowest steps, a line each.
pub(super) fn slowest(rows: &[Row]) -> Vec<String> {
    let mut rows: Vec<_> = rows.iter().filter(|row| row.seconds > 0.0).collect();
    rows.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    rows.truncate(SLOWEST);
    rows.iter().map(|row| format!("{:>12}  {}", duration(row.seconds), row.name)).collect()
}

fn seconds(seconds: Option<f64>) -> Cell {
    let text = seconds.map_or_else(|| String::from("-"), |seconds| format!("{seconds:.1}"));
    Cell::new(text).set_alignment(CellAlignment::Right)
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Outcome;
    use super::*;

    fn row(name: &str, outcome: Outcome, seconds: f64) -> Row {
        Row { name: name.into(), outcome, seconds }
    }

    #[test]
    fn the_slowest_ten_are_in_order() {
        let rows: Vec<_> = (0..20)
            .map(|number| row(&format!("step{number}"), Outcome::Passed, f64::from(number)))
            .collect();
        let lines = slowest(&rows);
        assert_eq!(lines.len(), SLOWEST);
        assert!(lines[0].ends_with("19.0 s  step19") && lines[9].ends_with("step10"), "{lines:?}");
    }

    #[test]
    fn each_reason_to_skip_is_one_line() {
        let skip = |why: &str| Outcome::Skipped(why.into());
        let rows = [
            row("a", skip("old\nmore"), 0.0),
            row("b", skip("old"), 0.0),
            row("c", skip("gone"), 0.0),
            row("d", Outcome::Passed, 0.0),
        ];
        assert_eq!(skipped(&rows), ["skipped c: gone", "skipped a and 1 more: old"]);
    }

    #[test]
    fn every_step_is_listed_and_planned() {
        let names = [("clippy", Group::Checks), ("mutant::a", Group::Mutants)];
        let steps = names.map(|(name, group)| Step::new(name, group, |_| Outcome::Passed));
        let record = Record::read(std::path::Path::new("/no/such/file"));
        let list = list(&steps, &record).to_string();
        assert!(names.iter().all(|(name, _)| list.contains(name)), "{list}");
        let plan = plan(&steps, &record).to_string();
        assert!(plan.contains("clippy") && plan.contains("mutants"), "{plan}");
    }

    #[test]
    fn results_are_counted_by_group() {
        let rows = [
            row("clippy", Outcome::Passed, 1.0),
            row("fmt", Outcome::Failed("no".into()), 2.0),
            row("boot", Outcome::Skipped("old".into()), 0.0),
        ];
        let groups = [("clippy", Group::Checks), ("fmt", Group::Checks), ("boot", Group::Boots)];
        let groups = groups.map(|(name, group)| (name.to_owned(), group)).into_iter().collect();
        let text = results(&rows, &groups).to_string();
        let words = |line: &str| {
            let cells = line.split(['│', '┆']).map(str::trim).filter(|cell| !cell.is_empty());
            cells.collect::<Vec<_>>().join(" ")
        };
        let lines: Vec<_> = text.lines().map(words).collect();
        for wanted in ["checks 1 1 0 3.0", "boots 0 0 1 0.0"] {
            assert!(lines.iter().any(|line| line == wanted), "{text}");
        }
    }
}
