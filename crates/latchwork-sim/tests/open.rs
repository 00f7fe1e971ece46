// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our policy violates in each open scenario just what the list says, as the search finds out.

use latchwork_sim::{
    engine::Verdict,
    policy::{Latchwork, Policy, Recovery},
    run::Setting,
    scenario::{Extent, OPEN, SCENARIOS},
};

#[test]
fn open_scenarios_violate_what_the_list_says() {
    let policy = || Box::new(Latchwork(Recovery::Poll)) as Box<dyn Policy>;
    for open in OPEN {
        let name = open.scenario.name;
        let bounds = open.scenario.bounds();
        let report = match open.seeds {
            None => Setting::new(open.scenario, Extent::Exhaustive, &policy).exhaust(&bounds),
            Some(seeds) => {
                Setting::new(open.scenario, Extent::Long, &policy).sample(&bounds, 0..seeds)
            }
        };
        let Verdict::Violated(found) = report.verdict else {
            panic!("{name}: {:?} after {} states", report.verdict, report.states);
        };
        let violation = found.violation;
        assert_eq!(violation.property, open.violates, "{name}: {violation}");
        assert!(violation.text.contains(open.says), "{name}: {violation}");
        let (states, executions) = (report.states, report.executions);
        println!("{name}: {states} states, {executions} executions, {violation}");
    }
}

#[test]
fn a_scenario_is_open_or_holds() {
    for open in OPEN {
        let name = open.scenario.name;
        assert!(SCENARIOS.iter().all(|one| one.name != name), "{name} is in both lists");
    }
}
