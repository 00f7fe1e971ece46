// SPDX-License-Identifier: MIT OR Apache-2.0
//! Litmus tests: what total store order allows, and what it does not.

use latchwork::simulation::{Ordering, fence};

use super::toy::{Plan, Toy, found};
use crate::engine::{Access, Bounds, Property, hardware, memory_fence, observe};

const IN_ORDER: Bounds = Bounds {
    preemptions: 3,
    points: 1000,
    states: 100_000,
    time: None,
    store_buffer: 0,
    prune: true,
    reduce: true,
};
const BUFFERED: Bounds = Bounds { store_buffer: 4, ..IN_ORDER };

/// Each CPU stores to its word, has `between` done, and says 1 more than what it loads from the
/// other's.
fn store_then_load(toy: &Toy, own: usize, between: impl FnOnce()) {
    toy.store(own, 1);
    between();
    toy.say(1 + toy.load(1 - own));
}

fn both_saw_nothing(toy: &Toy) -> Option<String> {
    let said = [toy.said[0].get(), toy.said[1].get()];
    (said == [1, 1]).then(|| "both loads came before both stores".into())
}

macro_rules! store_buffering {
    ($between:expr) => {
        Plan {
            scripts: &[
                |toy| store_then_load(toy, 0, $between),
                |toy| store_then_load(toy, 1, $between),
            ],
            judge: both_saw_nothing,
            ..Plan::default()
        }
    };
}

#[test]
fn stores_are_delayed_only_in_store_buffers() {
    let plan = store_buffering!(|| ());
    assert_eq!(found(plan, &IN_ORDER), None);
    let found = found(plan, &BUFFERED).expect("a load that passes a store");
    assert_eq!(found.violation.property, Property::C);
}

#[test]
fn fences_and_draining_accesses_order_a_load_after_a_store() {
    assert_eq!(found(store_buffering!(|| fence(Ordering::SeqCst)), &BUFFERED), None);
    assert_eq!(found(store_buffering!(memory_fence), &BUFFERED), None);
    assert_eq!(found(store_buffering!(|| hardware(Access::PortWrite, || ())), &BUFFERED), None);
    assert_eq!(found(store_buffering!(|| hardware(Access::MsrWrite, || ())), &BUFFERED), None);
}

#[test]
fn what_drains_nothing_orders_nothing() {
    assert!(found(store_buffering!(|| fence(Ordering::Release)), &BUFFERED).is_some());
    assert!(found(store_buffering!(|| fence(Ordering::AcqRel)), &BUFFERED).is_some());
    assert!(found(store_buffering!(|| hardware(Access::X2apicWrite, || ())), &BUFFERED).is_some());
    assert!(found(store_buffering!(|| observe(1)), &BUFFERED).is_some());
}

#[test]
fn a_locked_instruction_and_a_sequentially_consistent_store_drain() {
    let locked = Plan {
        scripts: &[
            |toy| {
                toy.store(0, 1);
                toy.words[2].fetch_add(1, Ordering::Relaxed);
                toy.say(1 + toy.load(1));
            },
            |toy| {
                toy.words[1].store(1, Ordering::SeqCst);
                toy.say(1 + toy.load(0));
            },
        ],
        judge: both_saw_nothing,
        ..Plan::default()
    };
    assert_eq!(found(locked, &BUFFERED), None);
}

#[test]
fn stores_stay_in_order_and_loads_too() {
    let message = Plan {
        scripts: &[
            |toy| {
                toy.store(0, 1);
                toy.store(1, 1);
            },
            |toy| {
                let flag = toy.load(1);
                toy.say(10 * flag + toy.load(0));
            },
        ],
        judge: |toy| (toy.said[1].get() == 10).then(|| "the flag without the data".into()),
        ..Plan::default()
    };
    assert_eq!(found(message, &BUFFERED), None);
}

#[test]
fn a_cpu_sees_its_own_stores_at_once() {
    let own = Plan {
        scripts: &[
            |toy| {
                toy.store(0, 1);
                toy.store(0, 2);
                toy.say(toy.load(0));
            },
            |toy| toy.say(toy.load(0)),
        ],
        judge: |toy| (toy.said[0].get() != 2).then(|| "an own store was not seen".into()),
        ..Plan::default()
    };
    assert_eq!(found(own, &BUFFERED), None);
}

#[test]
fn an_interruption_drains_the_store_buffer() {
    let plan = Plan {
        scripts: &[
            |toy| {
                toy.store(0, 1);
                let _ = toy.load(1);
            },
            |toy| {
                let handled = toy.load(2);
                toy.say(10 * handled + toy.load(0));
            },
        ],
        // The handler's own store is in memory before the one that it interrupted only if that is
        // lost.
        handler: |toy| {
            if toy.load(0) == 1 {
                toy.words[2].swap(1, Ordering::Relaxed);
            }
        },
        edges: 1,
        judge: |toy| (toy.said[1].get() == 10).then(|| "a store passed an interruption".into()),
    };
    assert_eq!(found(plan, &BUFFERED), None);
}

/// Two CPUs add 1 by a load and a store.
pub(super) const LOST_UPDATE: Plan = Plan {
    scripts: &[increment, increment],
    handler: |_| (),
    edges: 0,
    judge: |toy| (toy.load(0) != 2).then(|| format!("2 increments made {}", toy.load(0))),
};

fn increment(toy: &Toy) {
    let value = toy.load(0);
    toy.store(0, value + 1);
}

#[test]
fn a_lost_update_takes_one_preemption() {
    assert_eq!(found(LOST_UPDATE, &Bounds { preemptions: 0, ..IN_ORDER }), None);
    let found = found(LOST_UPDATE, &Bounds { preemptions: 1, ..IN_ORDER }).expect("a lost update");
    assert_eq!(found.violation.text, "2 increments made 1");
}
