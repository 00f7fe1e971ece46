// SPDX-License-Identifier: MIT OR Apache-2.0
//! NMIs on top of whoever grants, adopts, absorbs, holds and opens: no ring whose condition was
//! claimed is unknown, and none is explained twice.

use super::{arm, at_every_access, came};
use crate::{
    Class, Doorbell, EdgeModel, HandlerSpec, Nmi, Outcome, Registration, Request, Storm,
    StormSource,
    primitive::Ordering,
    tests::{
        source::{Source, time_passes},
        world::{Leaked, TestPlatform, World, become_cpu, take_nmi, take_work_interrupt},
    },
};

const MESSAGE: EdgeModel = EdgeModel::PerEvent { late_us: 5_000, max_late_edges: 2 };

fn local(doorbell: u8, edges: EdgeModel) -> HandlerSpec<'static> {
    HandlerSpec::new("local", Class::Local, Doorbell::Local(doorbell), edges)
}

fn platform() -> HandlerSpec<'static> {
    HandlerSpec::new("platform", Class::Platform, Doorbell::Platform(1), EdgeModel::PerCondition)
}

fn unknown(nmi: &Nmi<TestPlatform>) -> usize {
    nmi.cpu_stats(0).unwrap().unknown
}

/// All rings have come. So the next edge is unknown, and was the first to be.
pub(super) fn assert_all_is_used_up(nmi: &'static Nmi<TestPlatform>) {
    assert_eq!(unknown(nmi), 0, "a ring whose condition was claimed");
    let outcome = take_nmi(nmi);
    assert_eq!((outcome, unknown(nmi)), (Outcome::Unknown, 1), "a grant too many");
}

/// A ring that comes on top of the dispatch that claims its condition.
#[test]
fn a_ring_on_top_of_the_dispatch_that_claims_it() {
    at_every_access(20, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let sources = [Leaked::new(Source::new()), Leaked::new(Source::new())];
        let _kept: [Registration; 2] = core::array::from_fn(|doorbell| {
            let spec = local(doorbell as u8, EdgeModel::PerCondition);
            nmi.register(&spec, sources[doorbell].0).unwrap()
        });
        sources.iter().for_each(|source| source.0.raise());
        arm(accesses_before, move || {
            take_nmi(nmi);
        });
        take_nmi(nmi);
        let nested = came();
        if !nested {
            assert_eq!(take_nmi(nmi), Outcome::Absorbed);
        }
        assert!(sources.iter().all(|source| source.0.claims() == 1));
        assert_all_is_used_up(nmi);
        nested
    });
}

/// The same with a doorbell that rings twice more than its status says.
#[test]
fn a_late_ring_on_top_of_the_dispatch_that_claims_it() {
    at_every_access(20, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let source = Leaked::new(Source::new());
        let _kept = nmi.register(&local(4, MESSAGE), source.0).unwrap();
        source.0.raise();
        arm(accesses_before, move || {
            take_nmi(nmi);
        });
        take_nmi(nmi);
        let nested = came();
        for _ in usize::from(nested)..2 {
            assert_eq!(take_nmi(nmi), Outcome::Absorbed);
        }
        assert_all_is_used_up(nmi);
        nested
    });
}

/// An NMI on top lasts, takes the ring that is being granted, and claims what rings by itself. That
/// ring, too, is explained, at the time at which it comes.
#[test]
fn a_claim_on_top_of_the_dispatch_that_grants() {
    at_every_access(20, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let sources = [(); 3].map(|()| Leaked::new(Source::new()));
        let _kept: [Registration; 3] = core::array::from_fn(|doorbell| {
            let spec = local(doorbell as u8, EdgeModel::PerCondition);
            nmi.register(&spec, sources[doorbell].0).unwrap()
        });
        let last = sources[2].0;
        sources[..2].iter().for_each(|source| source.0.raise());
        arm(accesses_before, move || {
            time_passes(nmi, 2_000);
            last.raise();
            take_nmi(nmi);
        });
        take_nmi(nmi);
        let nested = came();
        nmi.tick();
        assert_eq!(take_nmi(nmi), Outcome::Absorbed);
        assert_all_is_used_up(nmi);
        nested
    });
}

/// Two CPUs claim conditions that ring here too. One ring comes on top of whoever adopts the other.
fn while_machine_wide_claims_are_adopted(
    at_least: usize,
    adopt: impl Fn(&'static Nmi<TestPlatform>),
) {
    at_every_access(at_least, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let external = Leaked::new(Source::new());
        let source = external.0;
        let _kept = nmi.register(&platform(), source).unwrap();
        let counter = Leaked::new(Source::new());
        let pmi = counter.0;
        let _pmi = nmi.register(&local(4, EdgeModel::PerCondition), pmi).unwrap();
        world.wait_us(1_000);
        nmi.tick();
        let claim_elsewhere = move || {
            become_cpu(Some(1));
            source.raise();
            assert_eq!(take_nmi(nmi), Outcome::Claimed);
            become_cpu(Some(0));
        };
        claim_elsewhere();
        arm(accesses_before, move || {
            claim_elsewhere();
            take_nmi(nmi);
            pmi.raise();
            assert_eq!(take_nmi(nmi), Outcome::Claimed);
        });
        adopt(nmi);
        let nested = came();
        if nmi.core.cpus()[0].deferred.has_waiting() {
            nmi.tick();
        }
        while nmi.cpu_stats(0).unwrap().absorbed < 1 + usize::from(nested) {
            assert_eq!(take_nmi(nmi), Outcome::Absorbed);
        }
        assert_all_is_used_up(nmi);
        nested
    });
}

#[test]
fn a_ring_on_top_of_a_dispatch_that_adopts() {
    while_machine_wide_claims_are_adopted(30, |nmi| {
        nmi.send(0, Request::Call).unwrap();
        take_nmi(nmi);
    });
}

#[test]
fn a_ring_on_top_of_a_dispatch_that_absorbs() {
    while_machine_wide_claims_are_adopted(30, |nmi| {
        assert_eq!(take_nmi(nmi), Outcome::Absorbed);
    });
}

#[test]
fn a_ring_on_top_of_an_open_point_that_adopts() {
    while_machine_wide_claims_are_adopted(20, |nmi| nmi.entering_idle());
    while_machine_wide_claims_are_adopted(20, |nmi| {
        nmi.tick();
    });
}

/// Two NMIs on top of whoever adopts another CPU's claim: the ring of that one, and one that finds
/// the grant and leaves its own condition to a poll. The first is not unknown for that.
#[test]
fn a_ring_on_top_and_another_that_is_absorbed_in_its_place() {
    let both = core::cell::Cell::new(0);
    for between in 0..30 {
        at_every_access(15, |accesses_before| {
            let world = World::new();
            let nmi = world.nmi;
            let external = Leaked::new(Source::new());
            let source = external.0;
            let _kept = nmi.register(&platform(), source).unwrap();
            world.wait_us(1_000);
            nmi.tick();
            become_cpu(Some(1));
            source.raise();
            assert_eq!(take_nmi(nmi), Outcome::Claimed);
            become_cpu(Some(0));
            let edges = || nmi.cpu_stats(0).unwrap().edges;
            arm(accesses_before, move || {
                take_nmi(nmi);
                arm(between, move || {
                    source.raise();
                    take_nmi(nmi);
                });
            });
            nmi.entering_idle();
            came();
            for _ in 0..3 {
                world.wait_us(1_100);
                nmi.tick();
            }
            assert!(!source.is_raised());
            assert_eq!(unknown(nmi), 0);
            both.set(both.get() + usize::from(edges() == 2));
            edges() != 0
        });
    }
    assert!(both.get() > 100, "both came {} times only", both.get());
}

/// A CPU that has published a claim itself adopts the next claim of another, and not its own. The
/// ring on top is one too many.
#[test]
fn a_ring_on_top_of_a_poll_that_claims() {
    at_every_access(40, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let source = Leaked::new(Source::new());
        let _kept = nmi.register(&platform(), source.0).unwrap();
        let counter = Leaked::new(Source::new());
        let pmi = counter.0;
        let _pmi = nmi.register(&local(4, EdgeModel::PerCondition), pmi).unwrap();
        source.0.raise();
        arm(accesses_before, move || {
            take_nmi(nmi);
            pmi.raise();
            assert_eq!(take_nmi(nmi), Outcome::Claimed);
        });
        take_nmi(nmi);
        let nested = came();
        nmi.tick();
        assert!(source.0.claims() == 1 && unknown(nmi) <= usize::from(nested));
        become_cpu(Some(1));
        world.wait_us(1_000);
        nmi.entering_idle();
        source.0.raise();
        assert_eq!(take_nmi(nmi), Outcome::Claimed);
        become_cpu(Some(0));
        assert_eq!(take_nmi(nmi), Outcome::Absorbed, "the other CPU's claim");
        assert_eq!(take_nmi(nmi), Outcome::Unknown, "its own claim");
        nested
    });
}

/// The driver's grant is there before the status is clear, whenever the ring comes.
#[test]
fn a_ring_on_top_of_a_claim_outside_nmis() {
    at_every_access(12, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let source = Leaked::new(Source::new());
        let kept = nmi.register(&local(4, EdgeModel::PerCondition), source.0).unwrap();
        source.0.raise();
        arm(accesses_before, move || {
            let outcome = take_nmi(nmi);
            assert_ne!(outcome, Outcome::Unknown);
        });
        kept.claim_outside_nmi(|| source.0.clear());
        let interrupted = came();
        nmi.tick();
        assert_eq!(unknown(nmi), 0);
        interrupted
    });
}

/// The tick of the CPU is stopped. If an edge on top waits for what comes next, it asks for a tick.
#[test]
fn a_cpu_does_not_sleep_over_an_edge_on_top_of_its_claim_outside_nmis() {
    let waited = core::cell::Cell::new(0);
    at_every_access(12, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let source = Leaked::new(Source::new());
        let kept = nmi.register(&local(4, EdgeModel::PerCondition), source.0).unwrap();
        nmi.tick_stopped();
        arm(accesses_before, move || {
            take_nmi(nmi);
        });
        kept.claim_outside_nmi(|| ());
        let interrupted = came();
        let waits = nmi.core.cpus()[0].has_open_edges();
        take_work_interrupt(nmi);
        let wanted = nmi.platform.ticks_wanted.load(Ordering::Relaxed);
        assert!(wanted == 1 || !waits);
        waited.set(waited.get() + usize::from(waits));
        interrupted
    });
    assert!(waited.get() > 3, "{} edges on top waited", waited.get());
}

/// Another CPU adopts the claim while the driver is at it, and finds the ring late from when the
/// status is clear, however long the driver takes.
#[test]
fn a_slow_claim_outside_nmis() {
    for slow_us in [60, 3_000] {
        let world = World::new();
        let nmi = world.nmi;
        let source = Leaked::new(Source::new());
        let kept = nmi.register(&platform(), source.0).unwrap();
        world.wait_us(1_000);
        source.0.raise();
        kept.claim_outside_nmi(|| {
            become_cpu(Some(1));
            nmi.tick();
            time_passes(nmi, slow_us);
            nmi.tick();
            become_cpu(Some(0));
            source.0.clear();
        });
        time_passes(nmi, 60);
        for cpu in [0, 1] {
            become_cpu(Some(cpu));
            nmi.tick();
            assert_eq!(take_nmi(nmi), Outcome::Absorbed, "CPU {cpu}, {slow_us} us");
        }
        become_cpu(Some(0));
    }
}

/// What an NMI on top grants for longer is not shortened by the grant that it interrupts.
#[test]
fn a_longer_grant_on_top_of_one_that_is_made() {
    at_every_access(12, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let (driven, message) = (Leaked::new(Source::new()), Leaked::new(Source::new()));
        let kept = nmi.register(&local(4, EdgeModel::PerCondition), driven.0).unwrap();
        let _message = nmi.register(&local(5, MESSAGE), message.0).unwrap();
        arm(accesses_before, move || {
            message.0.raise();
            assert_eq!(take_nmi(nmi), Outcome::Claimed);
        });
        kept.claim_outside_nmi(|| ());
        let interrupted = came();
        if interrupted {
            world.wait_us(4_000);
            nmi.tick();
            assert_eq!([take_nmi(nmi), take_nmi(nmi)], [Outcome::Absorbed; 2]);
        }
        interrupted
    });
}

/// An NMI takes a send that has not rung while the CPU sees that an earlier one has: nothing ends
/// before the ring of either.
#[test]
fn an_unfinished_send_on_top_of_a_look_at_finished_ones() {
    let looks: [fn(&'static Nmi<TestPlatform>); 3] = [
        |nmi| nmi.entering_idle(),
        |nmi| {
            nmi.tick();
        },
        |nmi| {
            take_nmi(nmi);
        },
    ];
    for look in looks {
        at_every_access(5, |accesses_before| {
            let world = World::new();
            let nmi = world.nmi;
            let source = Leaked::new(Source::new());
            let pmi = source.0;
            let _kept = nmi.register(&local(4, MESSAGE), pmi).unwrap();
            let half_a_send = || crate::tests::world::begin_send(nmi);
            half_a_send();
            pmi.raise();
            take_nmi(nmi);
            crate::tests::world::finish_send(nmi);
            arm(accesses_before, move || {
                half_a_send();
                pmi.raise();
                take_nmi(nmi);
            });
            look(nmi);
            let nested = came();
            if nested {
                for _ in 0..8 {
                    world.wait_us(1_000);
                    nmi.tick();
                }
                crate::tests::world::finish_send(nmi);
                nmi.tick();
                assert_eq!(take_nmi(nmi), Outcome::Absorbed, "the ring of the second send");
            }
            nested
        });
    }
}

/// A send that was taken before it rang finishes some time after the NMI has looked at the clock.
#[test]
fn a_send_that_finishes_while_the_nmi_leaves_that_took_it() {
    at_every_access(30, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let source = Leaked::new(Source::new());
        let _kept = nmi.register(&local(4, EdgeModel::PerCondition), source.0).unwrap();
        crate::tests::world::begin_send(nmi);
        source.0.raise();
        arm(accesses_before, move || {
            time_passes(nmi, 300);
            crate::tests::world::finish_send(nmi);
        });
        take_nmi(nmi);
        let finished = came();
        nmi.tick();
        if !finished {
            crate::tests::world::finish_send(nmi);
            nmi.tick();
        }
        assert_eq!(take_nmi(nmi), Outcome::Absorbed);
        assert_all_is_used_up(nmi);
        finished
    });
}

/// A CPU that comes back starts with nothing granted, whatever its NMIs did before.
#[test]
fn an_nmi_while_the_cpu_comes_back_leaves_no_grant() {
    at_every_access(10, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let source = Leaked::new(Source::new());
        let _kept = nmi.register(&local(4, MESSAGE), source.0).unwrap();
        source.0.raise();
        take_nmi(nmi);
        nmi.go_offline().unwrap();
        arm(accesses_before, move || {
            take_nmi(nmi);
        });
        nmi.come_online().unwrap();
        let interrupted = came();
        assert_eq!(take_nmi(nmi), Outcome::Unknown);
        interrupted
    });
}

/// A storm that begins on top of another begins, and both end.
#[test]
fn a_storm_on_top_of_another() {
    at_every_access(20, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let sources = [Leaked::new(Source::new()), Leaked::new(Source::new())];
        let [outer, inner] = [sources[0].0, sources[1].0];
        let _kept: [Registration; 2] = core::array::from_fn(|doorbell| {
            let spec = local(doorbell as u8, EdgeModel::PerCondition).storm_above(1);
            nmi.register(&spec, sources[doorbell].0).unwrap()
        });
        let storm = |source: &Source, times: usize| {
            for _ in 0..times {
                source.raise();
                take_nmi(nmi);
            }
        };
        storm(outer, 1);
        storm(inner, 1);
        outer.raise();
        arm(accesses_before, move || {
            inner.raise();
            take_nmi(nmi);
        });
        take_nmi(nmi);
        let nested = came();
        storm(outer, 1);
        world.wait_us(2_000);
        nmi.tick();
        nmi.tick();
        let told = nmi.platform.storms.lock().unwrap();
        for id in [0, 1] {
            let of_it =
                |(_, storm): &&(bool, Storm)| storm.source == StormSource::Handler(_kept[id].id());
            let told: std::vec::Vec<_> = told.iter().filter(of_it).map(|it| it.0).collect();
            let expected: &[bool] = if id == 0 || nested { &[true, false] } else { &[] };
            assert_eq!(told, expected, "handler {id}");
        }
        nested
    });
}
