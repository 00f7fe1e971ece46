// SPDX-License-Identifier: MIT OR Apache-2.0
//! The engine on Latchwork's real source: removal against dispatch, exhaustively.

mod world;

use latchwork_sim::engine::{Bounds, Detail, Property, Verdict, exhaust, minimise, replay, sample};
use world::{Plan, Removal, worlds};

#[test]
fn no_handler_runs_after_its_removal_has_returned() {
    for store_buffer in [0, 4] {
        for (edges, preemptions) in [([1, 0], 3), ([2, 0], 1), ([1, 1], 1)] {
            let bounds = Bounds { store_buffer, preemptions, ..Bounds::default() };
            let report = exhaust(&bounds, &mut worlds(Plan { edges, removal: Removal::Waits }));
            assert_eq!(report.verdict, Verdict::Held, "{edges:?}");
            assert!(report.states > 1000, "{report:?}");
        }
    }
}

#[test]
fn a_removal_that_does_not_wait_is_caught_and_shown() {
    let plan = Plan { edges: [1, 0], removal: Removal::DoesNotWait };
    let mut build = worlds(plan);
    let bounds = Bounds { preemptions: 1, ..Bounds::default() };
    let report = exhaust(&bounds, &mut build);
    let found = report.verdict.counterexample().expect("a handler that runs too late");
    assert_eq!(found.violation.property, Property::Q);
    let least = minimise(&bounds, found, &mut build);
    assert_eq!(least.trace.deviations.len(), 2, "the edge, and the switch: {}", least.trace);
    let replayed = replay(&bounds, &least.trace, Detail::Notes, &mut build);
    assert_eq!(replayed.violation, Some(least.violation));
    let text = replayed.timeline.to_string();
    for line in ["an edge for CPU 0", "the removal has returned", "runs after its removal"] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn random_executions_find_it_too() {
    let plan = Plan { edges: [2, 2], removal: Removal::DoesNotWait };
    let report = sample(&Bounds::default(), 0..10_000, &mut worlds(plan));
    assert!(report.verdict.counterexample().is_some());
    let patient = Plan { removal: Removal::Waits, ..plan };
    let report = sample(&Bounds::default(), 0..10_000, &mut worlds(patient));
    assert_eq!(report.verdict, Verdict::Held);
}
