// SPDX-License-Identifier: MIT OR Apache-2.0
//! `run --list`.

use serde::Serialize;

use super::promises::{self, Promise};
use crate::catalog::{COMMON_FAULTS, SCENARIOS};
use crate::cli::Format;
use crate::guest::command::device_name;
use crate::table;

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

pub(super) fn print(format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => println!("{}", serde_json::to_string(&list())?),
        Format::Table => print_table(),
    }
    Ok(())
}

fn list() -> List {
    let entry = |scenario: &crate::catalog::Scenario| Entry {
        name: scenario.name,
        promise: promises::shown_by(scenario).map(Promise::words),
        first: promises::is_first(scenario),
        min_cpus: scenario.min_cpus,
        devices: scenario.devices.iter().map(|&device| device_name(device)).collect(),
        faults: scenario.faults.iter().map(|fault| fault.name).collect(),
    };
    List { schema: 1, scenarios: SCENARIOS.iter().map(entry).collect() }
}

fn print_table() {
    let mut table = table::new([
        "scenario",
        "fault",
        "CPUs",
        "needs",
        "promise",
        "what it shows, or does wrong",
    ]);
    for scenario in SCENARIOS {
        let devices: Vec<_> = scenario.devices.iter().map(|&device| device_name(device)).collect();
        let (cpus, devices) = (at_least(scenario.min_cpus), devices.join(", "));
        let promise = promises::shown_by(scenario).map_or("", Promise::words);
        let mark = if promises::is_first(scenario) { "" } else { " (--all-scenarios)" };
        let promise = format!("{promise}{mark}");
        table.add_row([scenario.name, "", &cpus, &devices, &promise, scenario.summary]);
        for fault in scenario.faults {
            table.add_row(["", fault.name, &at_least(fault.min_cpus), "", "", fault.summary]);
        }
    }
    for fault in COMMON_FAULTS {
        let cpus = at_least(fault.min_cpus);
        table.add_row(["(every one)", fault.name, &cpus, "", "", fault.summary]);
    }
    println!("{table}");
}

fn at_least(cpus: usize) -> String {
    format!("{cpus}+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_the_documented_shape() {
        let json = serde_json::json!(list());
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
}
