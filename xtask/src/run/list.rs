// SPDX-License-Identifier: MIT OR Apache-2.0
//! `run --list`.

use comfy_table::{ColumnConstraint, Table};
use serde::Serialize;

use super::promises::{self, Promise};
use super::select::Selection;
use crate::catalog::{Device, Fault, Scenario};
use crate::cli::Format;
use crate::guest::command::device_name;
use crate::table;

/// Columns of text where no terminal is known: what reads it may be as narrow as any.
const WIDTH: u16 = 80;

#[derive(Serialize)]
struct List {
    schema: u32,
    scenarios: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    promise: Option<&'static str>,
    first: bool,
    min_cpus: usize,
    devices: Vec<&'static str>,
    faults: Vec<&'static str>,
}

pub(super) fn print(selection: &Selection, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => println!("{}", serde_json::to_string(&list(selection))?),
        Format::Table => println!("{}", table(selection, table::width_or(WIDTH)).trim_fmt()),
    }
    Ok(())
}

fn list(selection: &Selection) -> List {
    let scenarios = selection.scenarios.iter().map(|(scenario, faults)| Entry {
        name: scenario.name,
        promise: promises::shown_by(scenario).map(Promise::words),
        first: promises::is_first(scenario),
        min_cpus: scenario.min_cpus,
        devices: devices(scenario),
        faults: faults.iter().map(|fault| fault.name).collect(),
    });
    List { schema: 1, scenarios: scenarios.collect() }
}

/// One column of names, none of which is broken, and one of what there is to say, which is wrapped
/// at words.
fn table(selection: &Selection, width: u16) -> Table {
    let mut table = table::without_lines(
        width,
        ["scenario, its faults", "CPUs", "what it shows, or does wrong"],
    );
    for column in table.column_iter_mut().take(2) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    for (scenario, faults) in &selection.scenarios {
        let about = format!("{}\n{}", scenario.summary, circumstances(scenario));
        table.add_row([scenario.name, &at_least(scenario.min_cpus), &about]);
        add_faults(&mut table, faults);
        table.add_row(["", "", ""]);
    }
    if !selection.common.is_empty() {
        table.add_row(["every scenario", "", ""]);
        add_faults(&mut table, &selection.common);
    }
    table
}

fn add_faults(table: &mut Table, faults: &[&Fault]) {
    for fault in faults {
        let name = format!("  {}", fault.name);
        table.add_row([&name, &at_least(fault.min_cpus), fault.summary]);
    }
}

/// Which promise it shows, what it needs and when it is booted.
fn circumstances(scenario: &Scenario) -> String {
    let promise = promises::shown_by(scenario).map(|it| format!("promise: {}", it.words()));
    let needs = devices(scenario);
    let needs = (!needs.is_empty()).then(|| format!("needs: {}", needs.join(", ")));
    let asked = (!promises::is_first(scenario)).then(|| String::from("only if asked for"));
    promise.into_iter().chain(needs).chain(asked).collect::<Vec<_>>().join("; ")
}

fn devices(scenario: &Scenario) -> Vec<&'static str> {
    let name = |&device: &Device| device_name(device);
    scenario.devices.iter().map(name).collect()
}

fn at_least(cpus: usize) -> String {
    format!("{cpus}+")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::SCENARIOS;

    fn everything() -> Selection {
        Selection::of(&[], None).expect("all")
    }

    #[test]
    fn the_json_has_the_documented_shape() {
        let json = serde_json::json!(list(&everything()));
        assert_eq!(json["schema"], 1);
        let scenarios = json["scenarios"].as_array().expect("an array");
        assert_eq!(scenarios.len(), SCENARIOS.len());
        for scenario in scenarios {
            let keys: Vec<_> = scenario.as_object().expect("an object").keys().collect();
            assert_eq!(keys, ["devices", "faults", "first", "min_cpus", "name", "promise"]);
            assert!(
                !scenario["faults"].as_array().expect("an array").is_empty(),
                "{scenario} cannot go red"
            );
        }
    }

    #[test]
    fn names_and_words_are_in_one_piece_on_every_terminal() {
        let all = everything();
        for width in [80, 100, 140] {
            let text = table(&all, width).to_string();
            let widest = text.lines().map(|line| line.trim_end().chars().count()).max();
            assert!(widest <= Some(usize::from(width)), "{text}");
            let words: Vec<_> = text.split_whitespace().collect();
            for (scenario, faults) in &all.scenarios {
                let faults = faults.iter().flat_map(|fault| [fault.name, fault.summary]);
                for text in faults.chain([scenario.name, scenario.summary]) {
                    for word in text.split_whitespace() {
                        assert!(words.contains(&word), "`{word}` at {width} columns");
                    }
                }
            }
        }
    }

    #[test]
    fn most_of_a_narrow_terminal_is_for_what_there_is_to_say() {
        let text = table(&everything(), 80).to_string();
        let header = text.lines().next().expect("a header");
        assert!(header.find("what it shows").is_some_and(|column| column <= 36), "{header}");
    }
}
