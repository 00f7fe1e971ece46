// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interruptions: wherever an access is, one fits in before it.

use std::collections::BTreeSet;

use super::toy::{Plan, Toy, found, toys};
use crate::engine::{Bounds, Property, at_rest, exhaust, relax, search::exhaustive::exhaust_with};

/// The script makes five accesses, and the NMI says what it found of them.
const FIVE_STEPS: Plan = Plan {
    scripts: &[|toy| (1..=5).for_each(|step| toy.store(0, step))],
    handler: |toy| toy.say(10 * toy.said[0].get() + 1 + toy.load(0)),
    edges: 1,
    judge: |_| None,
};

fn endings(plan: Plan, bounds: &Bounds) -> usize {
    let mut endings = BTreeSet::new();
    exhaust_with(bounds, &mut toys(plan), &mut |state| {
        endings.insert(state);
    });
    endings.len()
}

#[test]
fn an_nmi_comes_before_each_access_and_after_the_last() {
    assert_eq!(endings(FIVE_STEPS, &Bounds::default()), 6);
}

/// Two NMIs find the word at a and b with a ≤ b: 6·7/2 pairs.
#[test]
fn two_nmis_come_before_any_two_accesses() {
    assert_eq!(endings(Plan { edges: 2, ..FIVE_STEPS }, &Bounds::default()), 21);
}

#[test]
fn an_nmi_does_not_nest_while_it_is_blocked() {
    let plan = Plan {
        handler: |toy| {
            let depth = toy.load(1);
            assert_eq!(depth, 0, "an NMI in an NMI");
            toy.store(1, depth + 1);
            let _ = toy.load(0);
            toy.store(1, depth);
        },
        edges: 3,
        ..FIVE_STEPS
    };
    assert_eq!(found(plan, &Bounds::default()), None);
}

#[test]
fn a_cpu_that_has_finished_takes_nmis() {
    let plan = Plan {
        scripts: &[|_| ()],
        handler: |toy| toy.say(toy.said[0].get() + 1),
        edges: 3,
        judge: |toy| (toy.said[0].get() != 3).then(|| "an edge was not taken".into()),
    };
    assert_eq!(found(plan, &Bounds::default()), None);
}

#[test]
fn a_panic_is_a_violation_with_a_trace() {
    let plan =
        Plan { handler: |toy| assert_ne!(toy.load(0), 3, "the handler found 3"), ..FIVE_STEPS };
    for _ in 0..2 {
        let report = exhaust(&Bounds::default(), &mut toys(plan));
        let found = report.verdict.counterexample().expect("a panic");
        assert_eq!(found.violation.property, Property::Panic);
        assert!(found.violation.text.contains("the handler found 3"), "{}", found.violation);
        assert_eq!(found.trace.deviations.len(), 1);
    }
}

/// The destructor of what the panic drops waits for what never comes, as that of a registration
/// may.
#[test]
fn a_panic_that_unwinds_into_a_wait_is_a_violation_too() {
    struct Guard<'a>(&'a Toy);
    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            while self.0.load(1) == 0 {
                relax();
            }
        }
    }
    let plan = Plan {
        scripts: &[
            |toy| {
                let _guard = Guard(toy);
                assert_eq!(toy.load(0), 0, "the word has changed");
                toy.store(1, 1);
            },
            |toy| toy.store(0, 1),
        ],
        ..Plan::default()
    };
    for _ in 0..3 {
        let found = found(plan, &Bounds::default()).expect("a panic");
        assert!(found.violation.text.contains("the word has changed"), "{}", found.violation);
    }
}

/// A script that comes to rest between its steps forgets what it read, so its states are fewer.
#[test]
fn a_cpu_at_rest_has_no_history() {
    fn states(step: fn(&Toy)) -> usize {
        thread_local! {
            static STEP: std::cell::Cell<fn(&Toy)> = const { std::cell::Cell::new(|_| ()) };
        }
        STEP.set(step);
        let plan = Plan {
            scripts: &[|toy| (0..6).for_each(|_| STEP.get()(toy))],
            handler: |toy| toy.store(0, toy.load(0) ^ 1),
            edges: 6,
            judge: |_| None,
        };
        exhaust(&Bounds::default(), &mut toys(plan)).states
    }
    let remembering = states(|toy| {
        toy.load(0);
        toy.say(toy.said[0].get() + 1);
    });
    let resting = states(|toy| {
        toy.load(0);
        toy.say(toy.said[0].get() + 1);
        at_rest();
    });
    assert!(resting < remembering, "{resting} {remembering}");
}
