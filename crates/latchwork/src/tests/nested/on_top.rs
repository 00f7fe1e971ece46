// SPDX-License-Identifier: MIT OR Apache-2.0
//! Edges on top of another dispatch of their CPU: what is granted stays for the edge underneath,
//! nothing ends for it too soon, and each edge is said once.

use core::cell::Cell;
use std::rc::Rc;

use super::{arm, at_every_access, came, grants::assert_all_is_used_up};
use crate::{
    Class, Doorbell, EdgeModel, HandlerSpec, Limits, Outcome, Registration,
    tests::{
        faults::Amid,
        source::{Source, time_passes},
        world::{Leaked, World, become_cpu, take_nmi},
    },
};

const LATE_US: usize = 8_000;
const CAP_US: usize = Limits::BARE_METAL.cap_us as usize;
const OVERDUE_US: usize = Limits::BARE_METAL.overdue_us as usize;

/// A CPU that has claimed a message, which rings once more, and asks the Platform handlers at its
/// next edge.
struct Scene {
    _kept: [Registration; 2],
    _message: Leaked<Source>,
    external: Leaked<Source>,
    world: World,
}

fn local(edges: EdgeModel) -> HandlerSpec<'static> {
    HandlerSpec::new("local", Class::Local, Doorbell::Local(4), edges)
}

fn message(max_late_edges: u8) -> HandlerSpec<'static> {
    local(EdgeModel::PerEvent { late_us: LATE_US as u32, max_late_edges })
}

fn scene() -> Scene {
    let world = World::new();
    let (source, external) = (Leaked::new(Source::new()), Leaked::new(Source::new()));
    let doorbell = Doorbell::Platform(1);
    let platform = HandlerSpec::new("platform", Class::Platform, doorbell, EdgeModel::PerCondition);
    let kept = [
        world.nmi.register(&message(1), source.0).unwrap(),
        world.nmi.register(&platform, external.0).unwrap(),
    ];
    source.0.raise();
    assert_eq!(take_nmi(world.nmi), Outcome::Claimed);
    world.wait_us(OVERDUE_US + 100);
    Scene { _kept: kept, _message: source, external, world }
}

/// As many as find whatever was lost, in less time than the grant lasts.
fn ticks(world: &World) {
    for _ in 0..2 {
        world.wait_us(1_100);
        world.nmi.tick();
    }
}

/// The granted ring comes, and on top of it that of an external event, which the dispatch
/// underneath may have asked for already. The grant is for the one underneath.
#[test]
fn an_edge_on_top_leaves_the_grant_to_the_edge_underneath() {
    at_every_access(40, |accesses_before| {
        let scene = scene();
        let nmi = scene.world.nmi;
        let external = scene.external.0;
        arm(accesses_before, move || {
            external.raise();
            take_nmi(nmi);
        });
        take_nmi(nmi);
        let nested = came();
        ticks(&scene.world);
        assert_eq!(external.claims(), usize::from(nested));
        assert_all_is_used_up(nmi);
        nested
    });
}

/// The same, and the other CPU is just claiming that event, so the edge on top finds nothing.
#[test]
fn an_edge_on_top_that_another_cpu_explains_leaves_the_grant_to_the_edge_underneath() {
    let polls_elsewhere = Rc::new(Cell::new(0));
    at_every_access(40, |accesses_before| {
        let scene = scene();
        let nmi = scene.world.nmi;
        let polls = &nmi.core.recovery.polls;
        let elsewhere = Rc::new(Cell::new(None));
        let begun = elsewhere.clone();
        arm(accesses_before, move || {
            if let Ok(poll) = polls.take(1) {
                begun.set(Some(poll));
                take_nmi(nmi);
            }
        });
        take_nmi(nmi);
        let interrupted = came();
        if let Some(poll) = elsewhere.take() {
            polls_elsewhere.set(polls_elsewhere.get() + 1);
            crate::tests::world::publish_claim(nmi);
            polls.end(poll);
        }
        ticks(&scene.world);
        assert_all_is_used_up(nmi);
        interrupted
    });
    assert!(polls_elsewhere.get() > 30, "{} polls elsewhere", polls_elsewhere.get());
}

/// An NMI comes on top of the end of another, late, and a granted ring while it runs. What it
/// leaves with is later than what the one underneath leaves with, which ends nothing for that.
#[test]
fn an_nmi_on_top_that_leaves_later_than_the_one_underneath() {
    at_every_access(40, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let source = Leaked::new(Source::new());
        let _kept = nmi.register(&message(2), source.0).unwrap();
        source.0.raise();
        arm(accesses_before, move || {
            time_passes(nmi, LATE_US + 1_000);
            take_nmi(nmi);
        });
        take_nmi(nmi);
        let nested = came();
        if nested {
            assert_eq!(take_nmi(nmi), Outcome::Absorbed, "it came while the one on top ran");
            assert_all_is_used_up(nmi);
        }
        nested
    });
}

/// A claim on top of a CPU that is about to idle: its rings end like any claim's, also where the
/// code underneath looks at them at the next tick only.
#[test]
fn the_rings_of_a_claim_on_top_end_in_time() {
    at_every_access(30, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let source = Leaked::new(Source::new());
        let edges = EdgeModel::PerEvent { late_us: 300, max_late_edges: 1 };
        let _kept = nmi.register(&local(edges), source.0).unwrap();
        source.0.raise();
        assert_eq!(take_nmi(nmi), Outcome::Claimed);
        arm(accesses_before, move || {
            source.0.raise();
            assert_eq!(take_nmi(nmi), Outcome::Claimed);
        });
        nmi.entering_idle();
        let nested = came();
        world.wait_us(700);
        nmi.tick();
        assert_eq!(take_nmi(nmi), Outcome::Unknown);
        nested
    });
}

/// A claim on top explains its own edge, and none of the code underneath, also where it comes while
/// that code takes what another has left.
#[test]
fn a_claim_on_top_explains_no_edge_underneath() {
    at_every_access(60, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let (source, amid) = (Leaked::new(Source::new()), Leaked::new(Amid::new()));
        let doorbell = Doorbell::Local(5);
        let spec = HandlerSpec::new("amid", Class::Local, doorbell, EdgeModel::PerCondition);
        let _kept = [
            nmi.register(&local(EdgeModel::PerCondition), source.0).unwrap(),
            nmi.register(&spec, amid.0).unwrap(),
        ];
        let claims_on_top = move || {
            source.0.raise();
            take_nmi(nmi);
        };
        amid.0.next(claims_on_top);
        arm(accesses_before, claims_on_top);
        assert_eq!(take_nmi(nmi), Outcome::Unknown);
        let nested = came();
        nmi.tick();
        assert_eq!(nmi.granted(0).unwrap().edges, [0; 4]);
        nested
    });
}

/// An edge on top waits for the next tick, which absorbs it. It comes again, and is said as soon as
/// if it had not waited.
#[test]
fn a_repetition_is_said_by_when_its_edges_came() {
    at_every_access(30, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let source = Leaked::new(Source::new());
        let _kept = nmi.register(&message(2), source.0).unwrap();
        let claims = move || {
            source.0.raise();
            assert_eq!(take_nmi(nmi), Outcome::Claimed);
        };
        claims();
        arm(accesses_before, move || {
            take_nmi(nmi);
        });
        nmi.entering_idle();
        let nested = came();
        world.wait_us(600);
        nmi.tick();
        world.wait_us(LATE_US);
        nmi.tick();
        claims();
        world.wait_us(CAP_US - LATE_US - 500);
        assert_eq!(take_nmi(nmi), Outcome::Absorbed);
        assert_eq!(nmi.platform.absorbed.lock().unwrap().len(), usize::from(nested));
        nested
    });
}

/// Whatever an edge on top of another dispatch turns out to be, it is said once, and a true unknown
/// is said.
#[test]
fn an_unknown_on_top_of_a_dispatch_is_reported() {
    at_every_access(20, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let source = Leaked::new(Source::new());
        let _kept = nmi.register(&local(EdgeModel::PerCondition), source.0).unwrap();
        arm(accesses_before, move || {
            take_nmi(nmi);
        });
        source.0.raise();
        take_nmi(nmi);
        let nested = came();
        nmi.tick();
        let stats = nmi.cpu_stats(0).unwrap();
        assert_eq!((stats.claimed, stats.unknown), (1, usize::from(nested)));
        assert_eq!(nmi.platform.unknowns.lock().unwrap().len(), usize::from(nested));
        nested
    });
}

/// Edges on top are judged before the outermost NMI returns, however late in it they come, and the
/// second amid what judges the first: no tick need follow.
#[test]
fn what_came_on_top_does_not_wait_for_a_tick() {
    let both = Cell::new(0);
    for between in 0..60 {
        at_every_access(20, |accesses_before| {
            let world = World::new();
            let nmi = world.nmi;
            arm(accesses_before, move || {
                take_nmi(nmi);
                arm(between, move || {
                    take_nmi(nmi);
                });
            });
            take_nmi(nmi);
            came();
            assert!(!nmi.core.cpus()[0].has_open_edges());
            let stats = nmi.cpu_stats(0).unwrap();
            assert_eq!(stats.unknown, stats.edges);
            both.set(both.get() + usize::from(stats.edges == 3));
            stats.edges != 1
        });
    }
    assert!(both.get() > 1_000, "both came {} times only", both.get());
}

/// A ring explains the edge on top, and hides that of an external event in it. What the dispatch
/// underneath owes may be paid before that event.
#[test]
fn an_edge_on_top_that_a_ring_explains_owes_a_poll() {
    at_every_access(40, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let sources = [(); 3].map(|()| Leaked::new(Source::new()));
        let specs = [
            HandlerSpec::new("a", Class::Local, Doorbell::Local(1), EdgeModel::PerCondition),
            HandlerSpec::new("b", Class::Local, Doorbell::Local(2), EdgeModel::PerCondition),
            HandlerSpec::new("c", Class::Platform, Doorbell::Platform(1), EdgeModel::PerCondition),
        ];
        let _kept: [Registration; 3] =
            core::array::from_fn(|index| nmi.register(&specs[index], sources[index].0).unwrap());
        let external = sources[2].0;
        sources[..2].iter().for_each(|source| source.0.raise());
        arm(accesses_before, move || {
            become_cpu(Some(1));
            take_nmi(nmi);
            become_cpu(Some(0));
            external.raise();
            take_nmi(nmi);
        });
        take_nmi(nmi);
        let nested = came();
        let owed = nmi.core.recovery.hot.debt.owed().is_some();
        assert!(owed || !external.is_raised(), "nobody will look for it");
        nested
    });
}

/// Two more on top of what claims their conditions, the second on top of the first, which leaves
/// its edge to the code underneath.
#[test]
fn a_ring_on_top_of_one_that_is_left_to_the_code_underneath() {
    for between in 0..60 {
        at_every_access(20, |accesses_before| {
            let world = World::new();
            let nmi = world.nmi;
            let sources = [(); 3].map(|()| Leaked::new(Source::new()));
            let _kept: [Registration; 3] = core::array::from_fn(|index| {
                let doorbell = Doorbell::Local(index as u8);
                let edges = EdgeModel::PerCondition;
                let spec = HandlerSpec::new("local", Class::Local, doorbell, edges);
                nmi.register(&spec, sources[index].0).unwrap()
            });
            world.wait_us(20_000);
            sources.iter().for_each(|source| source.0.raise());
            arm(accesses_before, move || {
                arm(between, move || {
                    take_nmi(nmi);
                });
                take_nmi(nmi);
            });
            take_nmi(nmi);
            let nested = came();
            let edges = || nmi.cpu_stats(0).unwrap().edges;
            while edges() < 3 {
                assert_eq!(take_nmi(nmi), Outcome::Absorbed);
            }
            assert_all_is_used_up(nmi);
            nested
        });
    }
}

/// The code underneath takes longer than any grant lasts. What comes on top then is no longer left
/// to it, and neither is what comes too often.
#[test]
fn a_dispatch_that_does_not_return_hides_no_unknown() {
    at_every_access(10, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        arm(accesses_before, move || {
            take_nmi(nmi);
            time_passes(nmi, CAP_US + 100);
            assert_eq!(take_nmi(nmi), Outcome::Unknown, "it is stuck");
        });
        take_nmi(nmi);
        came()
    });
    at_every_access(10, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        arm(accesses_before, move || {
            let unknown = |_: &usize| take_nmi(nmi) == Outcome::Unknown;
            assert!((0..100).find(unknown).is_some(), "so many are a storm");
        });
        take_nmi(nmi);
        came()
    });
}
