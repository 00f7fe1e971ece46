// SPDX-License-Identifier: MIT OR Apache-2.0
//! Busy waits: another CPU ends them, they cost nothing else, and the search finds a deadlock.

use latchwork::simulation::Ordering;

use super::toy::{Plan, Toy, exhausted, found};
use crate::engine::{Access, Bounds, Property, Verdict, hardware, relax};

fn lock(toy: &Toy, word: usize) {
    while toy.words[word].swap(1, Ordering::Acquire) == 1 {
        relax();
    }
}

#[test]
fn locks_in_two_orders_are_a_deadlock() {
    let plan = Plan {
        scripts: &[
            |toy| {
                lock(toy, 0);
                lock(toy, 1);
            },
            |toy| {
                lock(toy, 1);
                lock(toy, 0);
            },
        ],
        ..Plan::default()
    };
    let in_turn = Bounds { preemptions: 0, ..Bounds::default() };
    let found_in_turn = found(plan, &in_turn).expect("nobody unlocks");
    assert_eq!(found_in_turn.violation.text, "CPUs 1 wait, and nothing can happen");
    let unlocking = Plan {
        scripts: &[
            |toy| {
                lock(toy, 0);
                lock(toy, 1);
                toy.store(1, 0);
                toy.store(0, 0);
            },
            |toy| {
                lock(toy, 1);
                lock(toy, 0);
                toy.store(0, 0);
                toy.store(1, 0);
            },
        ],
        ..Plan::default()
    };
    assert_eq!(found(unlocking, &in_turn), None);
    let found = found(unlocking, &Bounds::default()).expect("a deadlock");
    assert_eq!(found.violation.property, Property::Deadlock);
    assert_eq!(found.violation.text, "CPUs 0, 1 wait, and nothing can happen");
}

/// Increments under a lock. With and without store buffers, whose unlocking store takes a while.
#[test]
fn a_lock_keeps_increments_apart() {
    fn increment(toy: &Toy) {
        lock(toy, 1);
        let value = toy.load(0);
        toy.store(0, value + 1);
        toy.store(1, 0);
    }
    let plan = Plan {
        scripts: &[increment, increment, increment],
        judge: |toy| (toy.load(0) != 3).then(|| "an increment was lost".into()),
        ..Plan::default()
    };
    for store_buffer in [0, 4] {
        assert_eq!(found(plan, &Bounds { store_buffer, ..Bounds::default() }), None);
    }
}

/// A wait whose condition changes between its look and its turn's end is not put to sleep.
#[test]
fn no_wake_up_is_lost() {
    let plan = Plan {
        scripts: &[
            |toy| {
                while toy.load(0) == 0 {
                    let _ = toy.load(1);
                    relax();
                }
            },
            |toy| toy.store(0, 1),
        ],
        ..Plan::default()
    };
    for store_buffer in [0, 2] {
        let bounds = Bounds { store_buffer, preemptions: 4, ..Bounds::default() };
        assert_eq!(found(plan, &bounds), None);
    }
}

/// An NMI that ends the wait of the code that it interrupted.
#[test]
fn a_handler_ends_the_wait_that_it_interrupted() {
    let plan = Plan {
        scripts: &[|toy| {
            while toy.load(0) == 0 {
                relax();
            }
        }],
        handler: |toy| toy.store(0, 1),
        edges: 1,
        ..Plan::default()
    };
    assert_eq!(found(plan, &Bounds::default()), None);
    let alone = found(Plan { edges: 0, ..plan }, &Bounds::default()).expect("nobody ends the wait");
    assert_eq!(alone.violation.property, Property::Deadlock);
}

/// Two CPUs that each poll a register which nobody changes: neither keeps the other awake.
#[test]
fn polling_is_no_progress() {
    fn poll(toy: &Toy) {
        while hardware(Access::UncachedRead, || toy.said[3].get()) == 0 {
            relax();
        }
    }
    let plan = Plan { scripts: &[poll, poll], ..Plan::default() };
    let found_deadlock = found(plan, &Bounds::default()).expect("nobody sets it");
    assert_eq!(found_deadlock.violation.property, Property::Deadlock);
    fn set(toy: &Toy) {
        hardware(Access::UncachedWrite, || toy.said[3].set(1));
    }
    let plan = Plan { scripts: &[poll, poll, set], ..plan };
    assert_eq!(found(plan, &Bounds::default()), None);
}

/// A wait's turns do not count as states, whatever other CPUs do meanwhile.
#[test]
fn a_wait_costs_few_states() {
    let plan = Plan {
        scripts: &[
            |toy| {
                while toy.load(0) == 0 {
                    relax();
                }
            },
            |toy| {
                (1..=50).for_each(|step| toy.store(1, step));
                toy.store(0, 1);
            },
        ],
        ..Plan::default()
    };
    let report = exhausted(plan, &Bounds { preemptions: 50, ..Bounds::default() });
    assert_eq!(report.verdict, Verdict::Held);
    assert!(report.states < 500, "{}", report.states);
}

#[test]
fn an_execution_without_end_is_reported() {
    let plan = Plan {
        scripts: &[
            |toy| {
                while toy.load(0) == 0 {
                    toy.words[1].fetch_add(1, Ordering::Relaxed);
                }
            },
            |_| (),
        ],
        ..Plan::default()
    };
    let report = exhausted(plan, &Bounds { points: 100, preemptions: 0, ..Bounds::default() });
    assert!(matches!(report.verdict, Verdict::Unfinished(_)), "{:?}", report.verdict);
}
