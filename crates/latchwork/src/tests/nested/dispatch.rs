// SPDX-License-Identifier: MIT OR Apache-2.0
//! NMIs that interrupt dispatch.

use super::{arm, at_every_access, came};
use crate::{
    Claim, Class, Outcome, Request,
    tests::world::{Leaked, Victim, World, served, spec, take_nmi},
};

/// A CPU inside a handler is always announced, however its NMIs nest.
#[test]
fn every_dispatch_is_announced() {
    at_every_access(10, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let victim = Leaked::new(Victim::announced(nmi));
        let registration = nmi.register(&spec("victim", Class::Local), victim.0).unwrap();
        arm(accesses_before, move || {
            take_nmi(nmi);
        });
        take_nmi(nmi);
        let nested = came();
        assert_eq!(victim.0.calls(), 1 + usize::from(nested));
        assert!(!nmi.in_nmi());
        registration.remove().unwrap();
        victim.0.poison();
        nested
    });
}

/// The loom test with nested dispatches covers all accesses that a dispatch has.
#[test]
fn dispatch_is_covered() {
    let world = World::new();
    let nmi = world.nmi;
    let victim = Leaked::new(Victim::new(Claim::Handled));
    let registration = nmi.register(&spec("victim", Class::Local), victim.0).unwrap();
    arm(32, || unreachable!("a dispatch has more accesses than loom::nested interrupts"));
    take_nmi(nmi);
    assert!(!came());
    registration.remove().unwrap();
}

/// Requests are taken once, by the outer or by the nested dispatch.
#[test]
fn requests_are_taken_once() {
    at_every_access(10, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        nmi.send(0, Request::Call).unwrap();
        arm(accesses_before, move || {
            nmi.send(0, Request::Call).unwrap();
            take_nmi(nmi);
        });
        take_nmi(nmi);
        let nested = came();
        take_nmi(nmi);
        assert_eq!(served(nmi, Request::Call), 1 + usize::from(nested));
        assert_eq!(nmi.unfinished_sends(0), Some(0));
        nested
    });
}

/// Parking waits for depth 0, is not forgotten, and happens once.
#[test]
fn a_stop_is_acted_on_once_and_outside() {
    at_every_access(10, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        arm(accesses_before, move || {
            nmi.send(0, Request::Stop).unwrap();
            take_nmi(nmi);
        });
        take_nmi(nmi);
        let nested = came();
        let left = nmi.platform.left.lock().unwrap();
        assert_eq!(left.len(), usize::from(nested));
        assert!(left.iter().all(|(cpu, due, outside)| *cpu == 0 && due.stop() && *outside));
        nested
    });
}

/// A nested NMI that finds this CPU at the Platform handlers is deferred, never unknown.
#[test]
fn a_poll_in_progress_is_not_entered_twice() {
    at_every_access(14, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let victim = Leaked::new(Victim::new(Claim::Handled));
        let registration = nmi.register(&spec("platform", Class::Platform), victim.0).unwrap();
        arm(accesses_before, move || {
            let outcome = take_nmi(nmi);
            let explained = [Outcome::Claimed, Outcome::Deferred, Outcome::Absorbed];
            assert!(explained.contains(&outcome), "{outcome:?}");
        });
        assert_eq!(take_nmi(nmi), Outcome::Claimed);
        let nested = came();
        let stats = nmi.cpu_stats(0).unwrap();
        assert_eq!(stats.edges, 1 + usize::from(nested));
        assert_eq!(stats.unknown, 0);
        registration.remove().unwrap();
        nested
    });
}
