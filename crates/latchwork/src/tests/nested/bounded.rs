// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an NMI costs has a bound: it does not grow with what came on top of the code underneath.

use super::{arm, came};
use crate::{
    Claim, Class, Doorbell, EdgeModel, HandlerSpec, Mode, Registration,
    edge::{Edge, Edges, RECORDS},
    grant::{RingTarget, Rings},
    tests::{
        source::Source,
        world::{Leaked, Victim, World, spec, take_nmi},
    },
    time::Timestamp,
};

/// A CPU with handlers of all classes, whose next NMI finds what `leave` has left.
struct Scene {
    world: World,
    platform: Leaked<Victim>,
    unknown: Leaked<Victim>,
    _kept: [Registration; 2],
}

impl Scene {
    fn new(unknown: Claim) -> Self {
        let world = World::new();
        let platform = Leaked::new(Victim::new(Claim::None));
        let unknown = Leaked::new(Victim::new(unknown));
        let line = Doorbell::Platform(1);
        let line = HandlerSpec::new("line", Class::Platform, line, EdgeModel::PerCondition);
        let kept = [
            world.nmi.register(&line, platform.0).unwrap(),
            world.nmi.register(&spec("unknown", Class::Unknown), unknown.0).unwrap(),
        ];
        Self { world, platform, unknown, _kept: kept }
    }

    fn leave_edges(&self, edges: usize) {
        let arrived = Timestamp::from_ticks(1);
        let edge = Edge { arrived, seen: arrived, ip: 7, mode: Mode::Kernel };
        for _ in 0..edges {
            assert!(self.world.nmi.core.cpus()[0].tray.leave_edge(&edge));
        }
    }

    fn leave_claims(&self, claims: usize) {
        let mut rings = Rings::of_sends(0);
        let source = Leaked::new(Source::new());
        let _kept = self.world.nmi.register(&spec("local", Class::Local), source.0).unwrap();
        let slot = self.world.nmi.core.registry.slot(Class::Local, 0).unwrap();
        rings.add(&slot.doorbell, RingTarget::ThisCpu);
        for _ in 0..claims {
            self.world.nmi.core.cpus()[0].tray.leave_claims(&rings, || Timestamp::from_ticks(1));
        }
    }
}

/// How many accesses the NMI makes that finds what `leave` has left.
fn accesses(leave: impl Fn(&Scene)) -> usize {
    let interrupted = |accesses_before: &usize| {
        let scene = Scene::new(Claim::None);
        leave(&scene);
        arm(*accesses_before, || ());
        take_nmi(scene.world.nmi);
        came()
    };
    (0..10_000).take_while(interrupted).count()
}

/// In either case they are a storm of unknown NMIs.
#[test]
fn many_edges_on_top_cost_what_a_few_do() {
    let few = accesses(|scene| scene.leave_edges(20));
    let many = accesses(|scene| scene.leave_edges(64));
    assert!(few > 50, "{few}");
    assert_eq!(few, many);
}

#[test]
fn many_claims_on_top_cost_what_a_few_do() {
    let few = accesses(|scene| scene.leave_claims(2));
    let many = accesses(|scene| scene.leave_claims(5_000));
    assert!(few > 50, "{few}");
    assert_eq!(few, many);
}

/// Each of them came before the one poll. Edges that share a record are one question to the Unknown
/// handlers, and all of them are counted.
#[test]
fn one_poll_judges_all_edges_on_top() {
    for claim in [Claim::None, Claim::Handled] {
        let scene = Scene::new(claim);
        let nmi = scene.world.nmi;
        scene.leave_edges(64);
        take_nmi(nmi);
        assert_eq!(scene.platform.0.calls(), 1 + 1, "for its own edge, and for all others");
        assert_eq!(scene.unknown.0.calls(), 1 + RECORDS);
        let unknown = if claim == Claim::None { 65 } else { 0 };
        assert_eq!(nmi.cpu_stats(0).unwrap().unknown, unknown);
        let reports = nmi.platform.unknowns.lock().unwrap().len();
        assert_eq!(reports, usize::from(claim == Claim::None), "one in 100 ms");
        assert!(!nmi.core.cpus()[0].has_open_edges());
    }
}

/// What is deferred together is judged together, and its records keep their order.
#[test]
fn deferred_edges_are_counted_and_judged_in_their_order() {
    let scene = Scene::new(Claim::None);
    let nmi = scene.world.nmi;
    let area = &nmi.core.cpus()[0];
    let polls = &nmi.core.recovery.polls;
    let edges = |at| Edges {
        edge: Edge {
            arrived: Timestamp::from_ticks(at),
            seen: Timestamp::from_ticks(at),
            ip: at as usize,
            mode: Mode::Kernel,
        },
        count: 3,
    };
    let limits = nmi.limits();
    for round in 0..3 {
        let held = polls.take(1).unwrap();
        let overlapped = polls.take(0).unwrap_err();
        for at in 1..=4 + round {
            assert_eq!(area.deferred.defer(overlapped, edges(at)), 0);
        }
        assert_eq!(
            area.deferred.defer(overlapped, Edges { count: 100, ..edges(9) }),
            100 - (64 - 3 * (1 + round as usize))
        );
        polls.end(held);
        let now = Timestamp::from_ticks(10);
        assert!(area.deferred.take_due(polls, now, limits)[0].is_none(), "no later one is over");
        let later = polls.take(1).unwrap();
        polls.end(later);
        let due = area.deferred.take_due(polls, now, limits);
        assert_eq!(due.map(|it| it.edge.ip), [1, 2, 3, 4]);
        assert_eq!(due.map(|it| it.count), [3, 3, 3, 64]);
        assert!(!area.deferred.has_waiting());
    }
}
