// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which properties each baseline breaks in which scenario: `baselines [NAME [SCENARIO]]`.

use std::{env, time::Duration};

use latchwork_sim::{
    engine::{Bounds, Detail, Property, Verdict},
    policy::baselines,
    run::Setting,
    scenario::{Extent, SCENARIOS, Scenario},
};

const ALL: [Property; 10] = [
    Property::L,
    Property::N1,
    Property::N2,
    Property::N3,
    Property::C,
    Property::W,
    Property::Q,
    Property::D,
    Property::Deadlock,
    Property::Panic,
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let wants = |place: usize, name: &str| {
        arguments.get(place).is_none_or(|wanted| wanted == "all" || wanted == name)
    };
    for baseline in baselines().iter().filter(|it| wants(0, it.name)) {
        println!("{}", baseline.name);
        let policy = baseline.policy;
        for scenario in SCENARIOS.iter().filter(|it| wants(1, it.name)) {
            if scenario.suits(&*policy()) {
                println!("  {}: {}", scenario.name, broken(scenario, &policy));
            }
        }
    }
}

/// Leaves out one property after the other, as long as something is broken.
fn broken(scenario: &'static Scenario, policy: &latchwork_sim::run::MakePolicy) -> String {
    let bounds = Bounds { time: Some(Duration::from_secs(10)), ..scenario.bounds() };
    let mut left = ALL.to_vec();
    let mut told = Vec::new();
    loop {
        let setting =
            Setting { properties: &left, ..Setting::new(scenario, Extent::Exhaustive, policy) };
        let report = setting.exhaust(&bounds);
        match report.verdict {
            Verdict::Held => {
                told.push(format!("({} states)", report.states));
                break;
            }
            Verdict::Unfinished(limit) => {
                told.push(format!("({limit}, {} states)", report.states));
                break;
            }
            Verdict::Violated(found) => {
                let property = found.violation.property;
                if env::var_os("TELL").is_some() {
                    let least = setting.minimise(&bounds, &found);
                    let replay = setting.replay(&bounds, &least.trace, Detail::Notes);
                    println!("{} ({})\n{}", least.violation, least.trace, replay.timeline);
                }
                told.push(format!("{property} after {}", report.states));
                if matches!(property, Property::Deadlock | Property::Panic) {
                    break;
                }
                left.retain(|one| *one != property);
            }
        }
    }
    told.join(", ")
}
