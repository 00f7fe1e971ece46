// SPDX-License-Identifier: MIT OR Apache-2.0
//! The boots as a matrix: a row for each scenario, fault, machine type, mode and clock, a column for each number of CPUs.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment, Table};

use super::outcome::Row;
use crate::cells::CPU_COUNTS;
use crate::table;

/// Seconds of the cells that passed, a word for the others, a dash where there is none.
pub(super) fn table(boots: &[Row]) -> Table {
    let mut lines: BTreeMap<String, BTreeMap<u8, &Row>> = BTreeMap::new();
    for boot in boots {
        if let Some((line, cpus)) = split(&boot.name) {
            lines.entry(line).or_default().insert(cpus, boot);
        }
    }

    let heads = CPU_COUNTS.map(|cpus| format!("{cpus} CPU{}", if cpus == 1 { "" } else { "s" }));

    let mut table = table::new([vec![String::from("seconds on")], heads.to_vec()].concat());
    for (line, cells) in lines {
        let mut row = vec![Cell::new(line)];
        row.extend(CPU_COUNTS.iter().map(|cpus| {
            let text = cells.get(cpus).map_or_else(|| String::from("-"), |boot| entry(boot));
            Cell::new(text).set_alignment(CellAlignment::Right)
        }));
        table.add_row(row);
    }
    table
}

fn entry(boot: &Row) -> String {
    if boot.passed() { format!("{:.1}", boot.seconds) } else { boot.verdict().to_owned() }
}

/// `a::q35::xapic::cpus4::parallel` as `a q35 xapic parallel` and 4; faults come between scenario and machine.
fn split(name: &str) -> Option<(String, u8)> {
    let mut parts = name.split("::");
    let [scenario, machine_type, apic, cpus, clock] =
        [parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let cpus = cpus.strip_prefix("cpus")?.parse().ok()?;
    let fault = parts.next().map(|fault| format!(" {fault}")).unwrap_or_default();
    Some((format!("{scenario}{fault} {machine_type} {apic} {clock}"), cpus))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::outcome::Outcome;

    #[test]
    fn cells_find_their_places() {
        let row = |name: &str, outcome| Row { name: name.into(), outcome, seconds: 2.0 };
        let boots = [
            row("s::q35::xapic::cpus1::parallel", Outcome::Passed),
            row("s::q35::xapic::cpus8::parallel", Outcome::Failed("no".into())),
            row("s::pc::xapic::cpus4::parallel", Outcome::Passed),
            row("s::q35::xapic::cpus2::parallel::fault_f", Outcome::Skipped("old".into())),
        ];
        let text = table(&boots).to_string();
        let lines: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        let line = |start: &[&str]| {
            lines.iter().find(|line| line[1..].starts_with(start)).expect("a line").join(" ")
        };
        assert!(line(&["s", "q35"]).contains("2.0 ┆ - ┆ - ┆ FAILED"), "{text}");
        assert!(line(&["s", "pc"]).contains("- ┆ - ┆ 2.0 ┆ -"), "{text}");
        assert!(line(&["s", "fault_f"]).contains("- ┆ skipped ┆ - ┆ -"), "{text}");
    }
}
