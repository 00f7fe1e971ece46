// SPDX-License-Identifier: MIT OR Apache-2.0
//! A timeline shows grants and the debt.

use latchwork_sim::{
    engine::{Detail, Trace},
    policy::{Latchwork, Policy, Recovery},
    run::Setting,
    scenario::{Extent, Scenario},
};

fn latchwork() -> Box<dyn Policy> {
    Box::new(Latchwork(Recovery::Poll))
}

/// The timelines of executions that deviate from the default course at one of the first choice
/// points.
fn timelines(scenario: &str) -> Vec<String> {
    let scenario = Scenario::named(scenario).expect("a scenario");
    let setting = Setting::new(scenario, Extent::Exhaustive, &latchwork);
    let chosen = (0..80).flat_map(|point| (1..4).map(move |option| (point, option)));
    chosen
        .filter_map(|(point, option)| {
            let trace: Trace = format!("x1:{point}.{option}").parse().expect("a trace");
            let replay = setting.replay(&scenario.bounds(), &trace, Detail::Notes);
            replay.strayed.is_none().then(|| replay.timeline.to_string())
        })
        .collect()
}

/// Where each of these stands in a timeline, if they stand there in this order.
fn in_order(timeline: &str, lines: &[&str]) -> bool {
    let mut rest = timeline;
    lines.iter().all(|line| {
        let found = rest.split_once(line);
        rest = found.map_or("", |(_, after)| after);
        found.is_some()
    })
}

#[test]
fn grants_are_shown_from_their_claim_to_their_end() {
    let lines = [
        "takes NMI: PMI",
        "granted: 1 collapsed, until ",
        "NMI ends: Absorbed",
        "granted: nothing",
    ];
    let timelines = timelines("send-after-send");
    assert!(timelines.iter().any(|timeline| in_order(timeline, &lines)), "{}", timelines.len());
}

#[test]
fn a_debt_is_shown_until_it_is_paid() {
    let lines = ["claims overflow 0x1 of CPU 0", "owed: a poll, since ", "tick", "owed: nothing"];
    let timelines = timelines("pmi-collapse-port61");
    assert!(timelines.iter().any(|timeline| in_order(timeline, &lines)), "{}", timelines.len());
}
