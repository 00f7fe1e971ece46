// SPDX-License-Identifier: MIT OR Apache-2.0
//! Traces are the executions that they name; seeds too; and minimal ones are found.

use super::{
    memory::LOST_UPDATE,
    toy::{Plan, found, toys},
};
use crate::engine::{
    Bounds, Counterexample, Detail, Deviation, Trace, Verdict, minimise, replay, sample,
};

/// A long way to a lost update: what does not matter happens before, in between, and afterwards.
const LONG_WAY: Plan = Plan {
    scripts: &[long_way, long_way],
    handler: |toy| toy.store(3, 1),
    edges: 3,
    ..LOST_UPDATE
};

fn long_way(toy: &super::toy::Toy) {
    (0..20).for_each(|step| toy.store(1, step));
    let value = toy.load(0);
    toy.store(0, value + 1);
    (0..20).for_each(|step| toy.store(2, step));
}

fn sampled(plan: Plan) -> Counterexample {
    let report = sample(&Bounds::default(), 0..1000, &mut toys(plan));
    report.verdict.counterexample().expect("a lost update in a thousand executions").clone()
}

#[test]
fn a_replay_is_the_execution_again() {
    for found in [found(LOST_UPDATE, &Bounds::default()).unwrap(), sampled(LONG_WAY)] {
        let plan = if found.seed.is_some() { LONG_WAY } else { LOST_UPDATE };
        let again = || replay(&Bounds::default(), &found.trace, Detail::Accesses, &mut toys(plan));
        let first = again();
        assert_eq!(first.violation.as_ref(), Some(&found.violation));
        assert_eq!(first.strayed, None);
        assert!(first.timeline.entries.len() > 3);
        let texts = |replay: crate::engine::Replay| {
            let words = |text: &str| text.split(" 0x").next().map(str::to_owned);
            let entries = replay.timeline.entries.into_iter();
            entries.map(|entry| (entry.point, entry.column, words(&entry.text))).collect::<Vec<_>>()
        };
        assert_eq!(texts(first), texts(again()));
    }
}

#[test]
fn a_seed_is_the_execution_again() {
    assert_eq!(sampled(LONG_WAY), sampled(LONG_WAY));
    let held = Plan { judge: |_| None, ..LONG_WAY };
    let points = || {
        let report = sample(&Bounds::default(), 0..200, &mut toys(held));
        assert_eq!(report.verdict, Verdict::Held);
        report.points
    };
    assert_eq!(points(), points());
}

/// One preemption between the load and the store is needed, and nothing else.
#[test]
fn the_minimiser_finds_the_minimum() {
    let mut longest = 0;
    for seed in 0..30 {
        let mut build = toys(LONG_WAY);
        let report = sample(&Bounds::default(), seed * 100..(seed + 1) * 100, &mut build);
        let Some(found) = report.verdict.counterexample() else { continue };
        longest = longest.max(found.trace.deviations.len());
        let least = minimise(&Bounds::default(), found, &mut build);
        assert_eq!(least.violation.property, found.violation.property);
        assert_eq!(least.trace.deviations.len(), 1, "{} from {}", least.trace, found.trace);
        let again = replay(&Bounds::default(), &least.trace, Detail::Notes, &mut build);
        assert_eq!(again.violation, Some(least.violation));
    }
    assert!(longest > 4, "{longest}");
}

#[test]
fn a_trace_of_another_world_is_reported() {
    let stray = Deviation { point: 1, option: 9 };
    let trace = Trace { deviations: vec![stray] };
    let replay = replay(&Bounds::default(), &trace, Detail::Notes, &mut toys(LOST_UPDATE));
    assert_eq!(replay.strayed, Some(stray));
}

#[test]
fn a_timeline_has_a_column_for_each_cpu_and_one_for_the_machine() {
    let plan = Plan { scripts: &[|toy| toy.store(0, 1), |_| ()], edges: 1, ..Plan::default() };
    let mut build = toys(plan);
    let replay = replay(&Bounds::default(), &Trace::default(), Detail::Notes, &mut build);
    let text = replay.timeline.to_string();
    let mut lines = text.lines();
    assert_eq!(lines.next().unwrap().split_whitespace().collect::<Vec<_>>().len(), 6);
    assert!(text.contains("an edge lands"), "{text}");
    assert!(text.contains("┌ NMI"), "{text}");
}
