// SPDX-License-Identifier: MIT OR Apache-2.0
//! The boots as matrices, of the kernel alone on each of QEMU's machine types, and of images: a row
//! for each scenario, fault, mode and clock, a column for each machine type and number of CPUs that
//! was booted. Boots on several QEMUs have matrices of their own.

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum as _;
use comfy_table::{Cell, CellAlignment, Table};

use super::outcome::Row;
use crate::machine::MachineType;
use crate::suites::Suite;
use crate::table;

/// The key of a row. A scenario's clean boots come before those with a fault.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Line<'a> {
    scenario: &'a str,
    fault: Option<&'a str>,
    apic: &'a str,
    clock: &'a str,
}

/// The key of a column: machine type and number of CPUs.
type Place<'a> = (&'a str, u8);

/// Boots of one matrix.
type Lines<'a> = BTreeMap<Line<'a>, BTreeMap<Place<'a>, &'a Row>>;

/// The matrices of `boots`, without empty ones.
pub(super) fn tables(boots: &[Row]) -> Vec<Table> {
    // Of each QEMU, those of its types come first, by name, and then that of all images.
    let mut matrices: BTreeMap<(Option<&str>, bool, &str), Lines<'_>> = BTreeMap::new();
    for boot in boots {
        let (suite, name) = of_suite(&boot.name);
        if let Some((line, place)) = split(name) {
            let is_image = !MachineType::ALL.iter().any(|it| it.name() == place.0);
            let own = (suite, is_image, if is_image { "" } else { place.0 });
            matrices.entry(own).or_default().entry(line).or_default().insert(place, boot);
        }
    }
    matrices.into_values().map(table).collect()
}

/// Seconds of the cells that passed, a word for the others, a dash where there is none.
fn table(lines: Lines<'_>) -> Table {
    let places: BTreeSet<Place<'_>> =
        lines.values().flat_map(|cells| cells.keys().copied()).collect();

    let mut heads = vec![String::from("scenario"), String::from("fault"), String::from("machine")];
    heads.extend(places.iter().map(|(machine_type, cpus)| format!("{machine_type} {cpus}")));
    let mut table = table::new(heads);
    for (line, cells) in lines {
        let mut row = vec![
            Cell::new(line.scenario),
            Cell::new(line.fault.unwrap_or_default()),
            Cell::new(format!("{} {}", line.apic, line.clock)),
        ];
        row.extend(places.iter().map(|place| {
            let text = cells.get(place).map_or_else(|| String::from("-"), |boot| entry(boot));
            Cell::new(text).set_alignment(CellAlignment::Right)
        }));
        table.add_row(row);
    }
    table
}

fn entry(boot: &Row) -> String {
    if boot.passed() { format!("{:.1}", boot.seconds) } else { boot.verdict().to_owned() }
}

/// The suite whose QEMU was booted on, if the name begins with one, and the rest.
fn of_suite(name: &str) -> (Option<&str>, &str) {
    match name.split_once("::") {
        Some((suite, rest)) if Suite::from_str(suite, false).is_ok() => (Some(suite), rest),
        _ => (None, name),
    }
}

/// Takes apart `scenario::type::mode::cpusN::clock`, which may end in `::fault_NAME`.
fn split(name: &str) -> Option<(Line<'_>, Place<'_>)> {
    let mut parts = name.split("::");
    let [scenario, machine_type, apic, cpus, clock] =
        [parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let fault = parts.next().map(|fault| fault.strip_prefix("fault_").unwrap_or(fault));
    let cpus = cpus.strip_prefix("cpus")?.parse().ok()?;
    Some((Line { scenario, fault, apic, clock }, (machine_type, cpus)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells;
    use crate::test::outcome::Outcome;

    fn row(name: impl Into<String>, outcome: Outcome, seconds: f64) -> Row {
        Row { name: name.into(), outcome, seconds }
    }

    fn text(boots: &[Row]) -> String {
        tables(boots).iter().map(|table| format!("{table}\n")).collect()
    }

    #[test]
    fn cells_find_their_places() {
        let boots = [
            row("s::q35::xapic::cpus1::parallel", Outcome::Passed, 2.0),
            row("s::q35::xapic::cpus8::parallel", Outcome::Failed("no".into()), 2.0),
            row("s::pc::xapic::cpus4::parallel", Outcome::Passed, 3.0),
            row("QEMU boots", Outcome::Failed("died".into()), 0.0),
            row("s::q35::xapic::cpus2::parallel::fault_f", Outcome::Skipped("old".into()), 0.0),
        ];
        let text = text(&boots);
        assert!(text.find("FAILED") < text.find("skipped"), "{text}");
        let rows: Vec<Vec<&str>> =
            text.lines().map(|line| line.split(['│', '┆']).map(str::trim).collect()).collect();
        for wanted in [
            &["scenario", "fault", "machine", "pc 4"][..],
            &["s", "", "xapic parallel", "3.0"],
            &["scenario", "fault", "machine", "q35 1", "q35 2", "q35 8"],
            &["s", "", "xapic parallel", "2.0", "-", "FAILED"],
            &["s", "f", "xapic parallel", "-", "skipped", "-"],
        ] {
            assert!(rows.iter().any(|row| row.get(1..=wanted.len()) == Some(wanted)), "{text}");
        }
    }

    #[test]
    fn each_suite_has_matrices_of_its_own() {
        let boots = ["sid::s::q35::xapic::cpus1::parallel", "s::q35::xapic::cpus1::parallel"];
        let boots = boots.map(|name| row(name, Outcome::Passed, 2.0));
        assert_eq!(tables(&boots).len(), 2);
    }

    #[test]
    fn every_cell_of_the_whole_has_a_place_of_its_own() {
        let whole = cells::all();
        let boots: Vec<_> = whole
            .iter()
            .enumerate()
            .map(|(number, cell)| row(cell.name(), Outcome::Passed, 1000.0 + number as f64))
            .collect();
        let text = text(&boots);
        for boot in &boots {
            let seconds = format!(" {:.1} ", boot.seconds);
            assert_eq!(text.matches(&seconds).count(), 1, "{} in\n{text}", boot.name);
        }
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(140), "{text}");
    }
}
