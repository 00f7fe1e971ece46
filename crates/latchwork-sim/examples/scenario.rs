// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs scenarios by hand: `scenario NAME|all [poll|probe] [exhaust|sample SEEDS|replay TRACE [long]]`.

use std::{env, time::Duration};

use latchwork_sim::{
    engine::{Bounds, Counterexample, Detail, Report, Trace, Verdict},
    policy::{Latchwork, Policy, Recovery},
    run::Setting,
    scenario::{Extent, SCENARIOS, Scenario},
};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let argument = |place: usize| arguments.get(place).map_or("", String::as_str);
    let recovery = if argument(1) == "probe" { Recovery::Probe } else { Recovery::Poll };
    let policy = move || Box::new(Latchwork(recovery)) as Box<dyn Policy>;
    let extent = if argument(2) == "sample" || argument(4) == "long" {
        Extent::Long
    } else {
        Extent::Exhaustive
    };
    let chosen = |scenario: &&&'static Scenario| {
        argument(0) == "all" || scenario.name.starts_with(argument(0))
    };
    for scenario in SCENARIOS.iter().filter(chosen) {
        let setting = Setting::new(scenario, extent, &policy);
        let mut bounds = Bounds { time: Some(Duration::from_secs(60)), ..scenario.bounds() };
        if extent == Extent::Long {
            bounds.points = 1_000_000;
        }
        match argument(2) {
            "replay" => {
                let trace: Trace = argument(3).parse().expect("a trace");
                let replay = setting.replay(&bounds, &trace, Detail::Accesses);
                println!("{:?}\n{}", replay.violation, replay.timeline);
            }
            "sample" => {
                let seeds = argument(3).parse().unwrap_or(100);
                tell(&setting, &bounds, &setting.sample(&bounds, 0..seeds));
            }
            _ => tell(&setting, &bounds, &setting.exhaust(&bounds)),
        }
    }
}

fn tell(setting: &Setting<'_>, bounds: &Bounds, report: &Report) {
    let name = setting.scenario.name;
    let Report { states, executions, points, elapsed, .. } = report;
    println!("{name}: {states} states, {executions} executions, {points} points, {elapsed:.1?}");
    match &report.verdict {
        Verdict::Held => println!("  held"),
        Verdict::Unfinished(limit) => println!("  unfinished: {limit:?}"),
        Verdict::Violated(found) => {
            let least: Counterexample = setting.minimise(bounds, found);
            println!("  VIOLATED {} ({})", least.violation, least.trace);
            if std::env::var_os("TELL").is_some() {
                println!("{}", setting.replay(bounds, &least.trace, Detail::Notes).timeline);
            }
        }
    }
}
