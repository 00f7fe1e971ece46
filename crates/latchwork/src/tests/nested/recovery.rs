// SPDX-License-Identifier: MIT OR Apache-2.0
//! NMIs on top of whoever pays, settles and stops its tick: no debt is lost, no condition, and no
//! edge that was deferred.

use super::{arm, at_every_access, came};
use crate::{
    Class, Doorbell, EdgeModel, HandlerSpec, Nmi, Outcome, Recovery, Registration, Request,
    primitive::Ordering,
    tests::{
        source::Source,
        world::{Leaked, TestPlatform, World, become_cpu, take_nmi, take_work_interrupt},
    },
};

struct Scene {
    world: World,
    pmi: Leaked<Source>,
    external: Leaked<Source>,
    kept: std::vec::Vec<Registration>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        become_cpu(Some(0));
        self.kept.clear();
    }
}

fn scene() -> Scene {
    let world = World::new();
    let (pmi, external) = (Leaked::new(Source::new()), Leaked::new(Source::new()));
    let spec =
        |class, doorbell| HandlerSpec::new("source", class, doorbell, EdgeModel::PerCondition);
    let kept = std::vec![
        world.nmi.register(&spec(Class::Local, Doorbell::Local(4)), pmi.0).unwrap(),
        world.nmi.register(&spec(Class::Platform, Doorbell::Platform(1)), external.0).unwrap(),
    ];
    world.wait_us(1_000);
    world.nmi.tick();
    Scene { world, pmi, external, kept }
}

/// One edge for both conditions.
fn collapse(nmi: &'static Nmi<TestPlatform>, pmi: &Source, external: &Source) {
    external.raise();
    pmi.raise();
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
}

/// A tick that finds a debt, and the lost event's ring on top of it: late, but not unknown.
#[test]
fn the_ring_of_an_external_event_on_top_of_the_tick_that_finds_it() {
    for recovery in [Recovery::Poll, Recovery::ProbeNmi] {
        at_every_access(20, |accesses_before| {
            let scene = scene();
            let nmi = scene.world.nmi;
            nmi.set_recovery(recovery);
            nmi.owe_poll();
            scene.external.0.raise();
            scene.world.wait_us(1_100);
            arm(accesses_before, move || {
                take_nmi(nmi);
            });
            nmi.tick();
            let interrupted = came();
            if nmi.platform.rung[0].load(Ordering::Relaxed) != 0 {
                assert_ne!(take_nmi(nmi), Outcome::Unknown);
            }
            for _ in 0..3 {
                scene.world.wait_us(1_100);
                nmi.tick();
            }
            assert!(!scene.external.0.is_raised());
            assert_eq!(nmi.cpu_stats(0).unwrap().unknown, 0);
            interrupted
        });
    }
}

/// An event collapses into a PMI on top of a tick that pays an older debt.
#[test]
fn a_debt_made_on_top_of_the_tick_that_pays_one() {
    at_every_access(30, |accesses_before| {
        let scene = scene();
        let nmi = scene.world.nmi;
        let (pmi, external) = (scene.pmi.0, scene.external.0);
        nmi.owe_poll();
        scene.world.wait_us(1_100);
        arm(accesses_before, move || collapse(nmi, pmi, external));
        nmi.tick();
        let interrupted = came();
        let owed = nmi.core.recovery.hot.debt.owed().is_some();
        assert!(owed || !external.is_raised(), "a condition that nobody will look for");
        for _ in 0..2 {
            scene.world.wait_us(1_100);
            nmi.tick();
        }
        assert!(!external.is_raised());
        interrupted
    });
}

/// A tick stops while an NMI makes a debt: this CPU asks for a tick.
#[test]
fn a_debt_made_while_the_tick_stops() {
    at_every_access(5, |accesses_before| {
        let scene = scene();
        let nmi = scene.world.nmi;
        let (pmi, external) = (scene.pmi.0, scene.external.0);
        arm(accesses_before, move || collapse(nmi, pmi, external));
        nmi.tick_stopped();
        let interrupted = came();
        take_work_interrupt(nmi);
        let asked = nmi.platform.ticks_wanted.load(Ordering::Relaxed);
        assert_eq!(asked, usize::from(interrupted));
        interrupted
    });
}

/// A tick stops while an NMI defers an edge: likewise.
#[test]
fn an_edge_deferred_while_the_tick_stops() {
    at_every_access(5, |accesses_before| {
        let scene = scene();
        let nmi = scene.world.nmi;
        become_cpu(Some(1));
        nmi.owe_poll();
        become_cpu(Some(0));
        let poll = nmi.core.recovery.polls.take(1).unwrap();
        arm(accesses_before, move || assert_eq!(take_nmi(nmi), Outcome::Deferred));
        nmi.tick_stopped();
        let interrupted = came();
        nmi.core.recovery.polls.end(poll);
        take_work_interrupt(nmi);
        let asked = nmi.platform.ticks_wanted.load(Ordering::Relaxed);
        assert_eq!(asked, usize::from(interrupted));
        interrupted
    });
}

/// Somebody owes a poll while an NMI pays or owes: something stays owed, or was paid after.
#[test]
fn an_nmi_while_a_poll_is_owed() {
    at_every_access(5, |accesses_before| {
        let scene = scene();
        let nmi = scene.world.nmi;
        let external = scene.external.0;
        arm(accesses_before, move || {
            take_nmi(nmi);
        });
        external.raise();
        nmi.owe_poll();
        let interrupted = came();
        for _ in 0..2 {
            scene.world.wait_us(1_100);
            nmi.tick();
        }
        assert!(!external.is_raised());
        interrupted
    });
}

/// Defers an edge on this CPU, in a poll of the other one.
fn defer_one(nmi: &'static Nmi<TestPlatform>, claims: bool) {
    let polls = &nmi.core.recovery.polls;
    let poll = polls.take(1).unwrap();
    assert_eq!(take_nmi(nmi), Outcome::Deferred);
    if claims {
        crate::tests::world::publish_claim(nmi);
    }
    polls.end(poll);
}

/// Each edge was claimed, absorbed or unknown, once, those among them that were deferred.
fn assert_all_are_settled(nmi: &'static Nmi<TestPlatform>) {
    assert!(!nmi.core.cpus()[0].deferred.has_waiting());
    let stats = nmi.cpu_stats(0).unwrap();
    assert_eq!(stats.claimed + stats.absorbed + stats.unknown, stats.edges, "{stats:?}");
}

/// Each deferred edge is settled once, by whoever comes first: the NMI on top or the one
/// underneath.
#[test]
fn an_nmi_on_top_of_whoever_settles() {
    for claims in [false, true] {
        let settles: [fn(&Scene); 2] = [
            |scene| {
                scene.world.nmi.tick();
            },
            |scene| {
                scene.world.nmi.send(0, Request::Call).unwrap();
                take_nmi(scene.world.nmi);
            },
        ];
        for settle in settles {
            at_every_access(20, |accesses_before| {
                let scene = scene();
                let nmi = scene.world.nmi;
                let pmi = scene.pmi.0;
                defer_one(nmi, claims);
                become_cpu(Some(1));
                scene.world.wait_us(1_100);
                nmi.tick();
                become_cpu(Some(0));
                arm(accesses_before, move || {
                    pmi.raise();
                    assert_eq!(take_nmi(nmi), Outcome::Claimed);
                });
                settle(&scene);
                let nested = came();
                assert_eq!(nmi.cpu_stats(0).unwrap().unknown, usize::from(!claims));
                assert_all_are_settled(nmi);
                nested
            });
        }
    }
}

/// An NMI on top of whoever defers an edge settles what it finds, which may not be that edge yet:
/// it is not forgotten for that.
#[test]
fn an_nmi_on_top_of_whoever_defers() {
    at_every_access(30, |accesses_before| {
        let scene = scene();
        let nmi = scene.world.nmi;
        let pmi = scene.pmi.0;
        arm(accesses_before, move || {
            pmi.raise();
            take_nmi(nmi);
        });
        defer_one(nmi, false);
        let nested = came();
        scene.world.wait_us(1_100);
        nmi.tick();
        assert_all_are_settled(nmi);
        nested
    });
}

/// An edge is deferred on top of whoever settles another, or defers one: each is settled once.
#[test]
fn an_edge_deferred_on_top_of_whoever_settles_or_defers() {
    let others: [fn(&'static Nmi<TestPlatform>); 2] = [
        |nmi| {
            nmi.tick();
        },
        |nmi| {
            take_nmi(nmi);
        },
    ];
    for (edges_before, other) in (0..).zip(others) {
        at_every_access(12, |accesses_before| {
            let scene = scene();
            let nmi = scene.world.nmi;
            let polls = &nmi.core.recovery.polls;
            defer_one(nmi, false);
            let poll = polls.take(1).unwrap();
            arm(accesses_before, move || {
                take_nmi(nmi);
            });
            other(nmi);
            let nested = came();
            polls.end(poll);
            let stats = nmi.cpu_stats(0).unwrap();
            assert_eq!(stats.deferred, 1 + edges_before + usize::from(nested));
            for _ in 0..3 {
                scene.world.wait_us(1_100);
                nmi.tick();
            }
            assert_eq!(nmi.cpu_stats(0).unwrap().absorbed, 0);
            assert_all_are_settled(nmi);
            nested
        });
    }
}

/// What explains an edge that waits is published, and the source rings again on top of whoever
/// settles that edge: neither is unknown.
#[test]
fn a_ring_on_top_of_whoever_settles_an_earlier_one() {
    for mode in [Recovery::Poll, Recovery::ProbeNmi] {
        at_every_access(20, |accesses_before| {
            let scene = scene();
            let nmi = scene.world.nmi;
            nmi.set_recovery(mode);
            let external = scene.external.0;
            defer_one(nmi, true);
            let polls = &nmi.core.recovery.polls;
            polls.end(polls.take(1).unwrap());
            arm(accesses_before, move || {
                external.raise();
                take_nmi(nmi);
            });
            nmi.tick();
            let nested = came();
            scene.world.wait_us(1_100);
            nmi.tick();
            assert_eq!(nmi.cpu_stats(0).unwrap().unknown, 0);
            nested
        });
    }
}
