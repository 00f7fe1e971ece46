// SPDX-License-Identifier: MIT OR Apache-2.0
//! `run --list`.

use comfy_table::Cell;
use serde::Serialize;

use crate::catalog::{COMMON_FAULTS, SCENARIOS};
use crate::cli::Format;
use crate::table;

#[derive(Serialize)]
struct List {
    schema: u32,
    scenarios: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    min_cpus: usize,
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
        min_cpus: scenario.min_cpus,
        faults: scenario.faults.iter().map(|fault| fault.name).collect(),
    };
    List { schema: 1, scenarios: SCENARIOS.iter().map(entry).collect() }
}

fn print_table() {
    let mut table = table::new(["scenario", "fault", "CPUs", "what it shows, or does wrong"]);
    for scenario in SCENARIOS {
        table.add_row([scenario.name, "", &at_least(scenario.min_cpus), scenario.summary]);
        for fault in scenario.faults {
            table.add_row(["", fault.name, &at_least(fault.min_cpus), fault.summary]);
        }
    }
    for fault in COMMON_FAULTS {
        table.add_row(vec![
            Cell::new("(every one)"),
            Cell::new(fault.name),
            Cell::new(at_least(fault.min_cpus)),
            Cell::new(fault.summary),
        ]);
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
            assert_eq!(keys, ["faults", "min_cpus", "name"]);
            assert!(
                !scenario["faults"].as_array().expect("an array").is_empty(),
                "{scenario} cannot go red"
            );
        }
    }
}
