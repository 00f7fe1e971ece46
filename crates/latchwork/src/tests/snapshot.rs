// SPDX-License-Identifier: MIT OR Apache-2.0
//! What people see of grants and debts.

use super::{
    source::Source,
    world::{Leaked, World, take_nmi},
};
use crate::{Class, Doorbell, EdgeModel, Granted, HandlerSpec, Outcome};

const NOTHING: Granted = Granted { edges: [0; 4], left_ticks: 0, waits_for_send: false };

#[test]
fn what_is_granted_is_shown_until_it_ends() {
    let world = World::new();
    let nmi = world.nmi;
    let late = EdgeModel::PerEvent { late_us: 1_000, max_late_edges: 2 };
    let spec = HandlerSpec::new("message", Class::Local, Doorbell::Local(4), late);
    let source = Leaked::new(Source::new());
    let kept = nmi.register(&spec, source.0).unwrap();
    assert_eq!(nmi.granted(0), Some(NOTHING));
    source.0.raise();
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    let granted = nmi.granted(0).unwrap();
    assert_eq!((granted.edges, granted.waits_for_send), ([0, 2, 0, 0], false));
    let left_ticks = granted.left_ticks;
    world.wait_us(400);
    let granted = nmi.granted(0).unwrap();
    assert!((1..left_ticks).contains(&granted.left_ticks), "{granted:?} of {left_ticks}");
    assert_eq!(take_nmi(nmi), Outcome::Absorbed);
    assert_eq!(nmi.granted(0).unwrap().edges, [0, 1, 0, 0]);
    world.wait_us(1_000);
    assert_eq!(
        nmi.granted(0).unwrap().left_ticks,
        0,
        "past its deadline, and before an open point"
    );
    nmi.entering_idle();
    assert_eq!(nmi.granted(0), Some(NOTHING));
    assert_eq!(nmi.granted(usize::MAX), None);
    kept.remove().unwrap();
}

#[test]
fn a_send_that_was_taken_before_it_rang_is_shown() {
    let world = World::new();
    let nmi = world.nmi;
    crate::tests::world::begin_send(nmi);
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    assert!(nmi.granted(0).unwrap().waits_for_send);
    crate::tests::world::finish_send(nmi);
    nmi.tick();
    assert!(!nmi.granted(0).unwrap().waits_for_send);
}

#[test]
fn an_owed_poll_is_shown_with_its_age() {
    let world = World::new();
    let nmi = world.nmi;
    let spec = HandlerSpec::new(
        "external",
        Class::Platform,
        Doorbell::Platform(1),
        EdgeModel::PerCondition,
    );
    let source = Leaked::new(Source::new());
    let kept = nmi.register(&spec, source.0).unwrap();
    let owed = nmi.owed_poll().expect("a new handler is owed a poll");
    assert!(!owed.edge_waits);
    world.wait_us(100);
    assert!(nmi.owed_poll().unwrap().age_ticks > owed.age_ticks);
    world.wait_us(1_000);
    nmi.tick();
    assert_eq!(nmi.owed_poll(), None);
    kept.remove().unwrap();
}
