// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interruptions: wherever an access is, one fits in before it.

use std::{cell::RefCell, collections::BTreeSet};

use super::toy::{Plan, found, toys};
use crate::engine::{Bounds, exhaust, search::exhaustive::exhaust_with};

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
    thread_local! {
        static DEPTH: RefCell<usize> = const { RefCell::new(0) };
    }
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
        assert_eq!(found.violation.property, crate::engine::Property::Panic);
        assert!(found.violation.text.contains("the handler found 3"), "{}", found.violation);
        assert_eq!(found.trace.deviations.len(), 1);
    }
}
