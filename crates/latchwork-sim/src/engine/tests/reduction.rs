// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pruning and reduction lose no ending, and searches are the same again.

use std::collections::BTreeSet;

use latchwork::simulation::Ordering;

use super::toy::{Plan, Toy, exhausted, toys};
use crate::engine::{Bounds, Limit, Verdict, relax, search::exhaustive::exhaust_with};

fn endings(plan: Plan, bounds: &Bounds) -> (BTreeSet<u64>, usize) {
    let mut endings = BTreeSet::new();
    let report = exhaust_with(bounds, &mut toys(plan), &mut |state| {
        endings.insert(state);
    });
    assert_eq!(report.verdict, Verdict::Held);
    (endings, report.executions)
}

fn mixed(toy: &Toy) {
    let seen = toy.load(0);
    toy.store(1, seen + 1);
    let seen = seen * 10 + toy.words[0].fetch_add(2, Ordering::Relaxed);
    toy.say(seen * 10 + toy.load(1));
}

/// A world with a bit of everything: loads, stores, updates, an NMI.
const MIXED: Plan = Plan {
    scripts: &[mixed, mixed],
    handler: |toy| toy.store(0, toy.load(1)),
    edges: 1,
    judge: |_| None,
};

const HANDED_OVER: Plan = Plan {
    scripts: &[
        |toy| {
            toy.store(1, 7);
            toy.store(0, 1);
            toy.say(toy.load(2));
        },
        |toy| {
            toy.store(2, 9);
            if toy.load(0) == 0 {
                relax();
            }
            toy.say(1 + toy.load(1));
        },
        |toy| toy.say(toy.load(0) * 100 + toy.load(2)),
    ],
    handler: |_| (),
    edges: 0,
    judge: |_| None,
};

/// CPU 0 is closed in its handler and open outside; both have words of their own.
fn with_own_words(toy: &Toy) {
    toy.own().store(1 + toy.load(0), Ordering::Relaxed);
    toy.store(1, 1 + toy.own().load(Ordering::Relaxed));
    toy.own().store(2, Ordering::Relaxed);
    toy.say(toy.load(1) * 10 + toy.own().fetch_add(3, Ordering::Relaxed));
}

const OWN_WORDS: Plan = Plan {
    scripts: &[with_own_words, with_own_words],
    handler: |toy| {
        let before = toy.own().load(Ordering::Relaxed);
        toy.own().store(before + 10, Ordering::Relaxed);
        toy.store(0, toy.load(1) + before);
        toy.own().store(toy.load(1), Ordering::Relaxed);
        toy.store(0, toy.own().load(Ordering::Relaxed));
    },
    edges: 2,
    judge: |_| None,
};

/// What ends a wait, a load of shared memory, comes after own accesses of the turn.
const WAITING: Plan = Plan {
    scripts: &[
        |toy| {
            while toy.load(0) < 2 {
                toy.own().store(toy.load(1), Ordering::Relaxed);
                relax();
            }
            toy.say(toy.own().load(Ordering::Relaxed));
        },
        |toy| {
            toy.own().store(7, Ordering::Relaxed);
            toy.store(1, 3);
            toy.own().store(8, Ordering::Relaxed);
            toy.words[0].fetch_add(1, Ordering::Relaxed);
        },
    ],
    handler: |toy| {
        toy.own().fetch_add(5, Ordering::Relaxed);
        toy.words[0].fetch_add(1, Ordering::Relaxed);
        toy.own().fetch_add(toy.load(1), Ordering::Relaxed);
    },
    edges: 1,
    judge: |_| None,
};

/// Two edges collapse between two own accesses if the other CPU runs just then, and not otherwise.
const COLLAPSING: Plan = Plan {
    scripts: &[
        |toy| (1..=3).for_each(|step| toy.own().store(step, Ordering::Relaxed)),
        |toy| (1..=2).for_each(|step| toy.store(0, step)),
    ],
    handler: |toy| toy.say(10 * toy.said[0].get() + 1 + toy.own().load(Ordering::Relaxed)),
    edges: 2,
    judge: |_| None,
};

/// When CPU 0 uses its words first, nobody knows that CPU 1 will.
const SHARED_LATER: Plan = Plan {
    scripts: &[
        |toy| {
            toy.store(2, 1);
            toy.say(1 + toy.load(0));
        },
        |toy| {
            toy.say(1 + toy.load(2));
            toy.store(0, 1);
        },
    ],
    handler: |_| (),
    edges: 0,
    judge: |_| None,
};

/// States take in addresses, so all searches build their worlds in one place.
fn compare(plan: Plan, bounds: &Bounds) {
    let mut build = toys(plan);
    let mut endings = |prune, reduce| {
        let mut endings = BTreeSet::new();
        let bounds = Bounds { prune, reduce, ..*bounds };
        let report = exhaust_with(&bounds, &mut build, &mut |state| {
            endings.insert(state);
        });
        assert_eq!(report.verdict, Verdict::Held);
        (endings, report)
    };
    let (all, most) = endings(false, false);
    for (prune, reduce) in [(true, false), (false, true), (true, true)] {
        let (some, few) = endings(prune, reduce);
        assert_eq!(some, all, "{prune} {reduce}");
        assert!(few.states <= most.states, "{prune} {reduce}");
    }
}

#[test]
fn pruning_and_reduction_lose_no_ending() {
    for preemptions in 0..=2 {
        let bounds = Bounds { preemptions, ..Bounds::default() };
        compare(MIXED, &bounds);
        compare(HANDED_OVER, &bounds);
        compare(Plan { edges: 1, ..OWN_WORDS }, &bounds);
        compare(WAITING, &bounds);
        compare(COLLAPSING, &bounds);
        compare(SHARED_LATER, &bounds);
    }
}

/// Without pruning, two edges are too much.
#[test]
fn reduction_loses_no_ending_and_leaves_out_much() {
    for (preemptions, store_buffer) in [(0, 0), (1, 0), (2, 0), (3, 0), (1, 2), (2, 2)] {
        let mut build = toys(OWN_WORDS);
        let [(all, most), (some, few)] = [false, true].map(|reduce| {
            let bounds = Bounds { preemptions, store_buffer, reduce, ..Bounds::default() };
            let mut endings = BTreeSet::new();
            let report = exhaust_with(&bounds, &mut build, &mut |state| {
                endings.insert(state);
            });
            assert_eq!(report.verdict, Verdict::Held);
            (endings, report.states)
        });
        assert_eq!(some, all, "{preemptions} {store_buffer}");
        assert!(few < most, "{few} {most}");
    }
}

#[test]
fn pruning_and_reduction_lose_no_ending_in_store_buffers() {
    let bounds = Bounds { preemptions: 1, store_buffer: 2, ..Bounds::default() };
    compare(Plan { edges: 0, ..MIXED }, &bounds);
    compare(Plan { scripts: &[mixed], ..MIXED }, &bounds);
}

#[test]
fn a_larger_bound_loses_no_ending() {
    let counts: Vec<_> = (0..=3)
        .map(|preemptions| endings(MIXED, &Bounds { preemptions, ..Bounds::default() }).0.len())
        .collect();
    assert!(counts.is_sorted(), "{counts:?}");
    assert!(counts[0] < counts[2], "{counts:?}");
}

#[test]
fn a_search_is_the_same_again() {
    let bounds = Bounds { store_buffer: 2, ..Bounds::default() };
    let count = |report: crate::engine::Report| (report.states, report.executions, report.points);
    let first = count(exhausted(MIXED, &bounds));
    assert_eq!(first, count(exhausted(MIXED, &bounds)));
    assert!(first.0 > 100);
}

#[test]
fn too_many_states_are_reported() {
    let report = exhausted(MIXED, &Bounds { states: 20, ..Bounds::default() });
    assert_eq!(report.verdict, Verdict::Unfinished(Limit::States));
}
