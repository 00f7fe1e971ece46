// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which edge without a condition is explained, for how long, and what is said about it.

mod wide;

use std::vec::Vec;

use super::{
    source::Source,
    world::{Leaked, World, become_cpu, take_nmi},
};
use crate::{
    Class, Doorbell, EdgeModel, GrantKind, HandlerSpec, Limits, LimitsError, Outcome,
    PlatformDelivery, Registration, Request, SpecError, UnknownKind, UnknownPolicy,
    primitive::Ordering, time::Timestamp,
};

const LATE_US: usize = Limits::BARE_METAL.late_us as usize;
const CAP_US: usize = Limits::BARE_METAL.cap_us as usize;
const MESSAGE: EdgeModel = EdgeModel::PerEvent { late_us: 500, max_late_edges: 2 };

fn local(doorbell: u8, edges: EdgeModel) -> HandlerSpec<'static> {
    HandlerSpec::new("local", Class::Local, Doorbell::Local(doorbell), edges)
}

fn platform(edges: EdgeModel) -> HandlerSpec<'static> {
    HandlerSpec::new("platform", Class::Platform, Doorbell::Platform(1), edges)
}

fn add(world: &World, spec: HandlerSpec<'_>, source: &Leaked<Source>) -> Registration {
    world.nmi.register(&spec, source.0).unwrap()
}

fn outcomes(world: &World, edges: usize) -> Vec<Outcome> {
    (0..edges).map(|_| take_nmi(world.nmi)).collect()
}

use Outcome::{Absorbed, Claimed, Unknown};

#[test]
fn two_doorbells_claimed_by_one_edge_explain_one_more() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let _kept = add(&world, local(4, EdgeModel::PerCondition), &source);
    source.0.raise();
    world.nmi.send(0, Request::Call).unwrap();
    assert_eq!(outcomes(&world, 3), [Claimed, Absorbed, Unknown]);
    let stats = world.nmi.cpu_stats(0).unwrap();
    assert_eq!(stats.absorbed_by_kind, [1, 0, 0, 0]);
}

#[test]
fn two_sends_taken_together_explain_one_more_edge() {
    let world = World::new();
    for _ in 0..2 {
        world.nmi.send(0, Request::Call).unwrap();
    }
    assert_eq!(outcomes(&world, 3), [Claimed, Absorbed, Unknown]);
}

#[test]
fn two_handlers_behind_one_doorbell_explain_nothing_more() {
    let world = World::new();
    let sources = [Leaked::new(Source::new()), Leaked::new(Source::new())];
    let _kept = sources.each_ref().map(|it| add(&world, local(4, EdgeModel::PerCondition), it));
    sources.iter().for_each(|source| source.0.raise());
    assert_eq!(outcomes(&world, 2), [Claimed, Unknown]);
}

/// A handler that serves a request claims the same ring as the request itself.
#[test]
fn a_send_and_the_handler_that_it_was_made_for_explain_nothing_more() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let spec =
        HandlerSpec::new("server", Class::Local, Doorbell::Software, EdgeModel::PerCondition);
    let _kept = add(&world, spec, &source);
    source.0.raise();
    world.nmi.send(0, Request::Call).unwrap();
    assert_eq!(outcomes(&world, 2), [Claimed, Unknown]);
}

/// A doorbell keeps its bit when the handler that it was made for goes and another slot is filled.
#[test]
fn doorbells_stay_apart_when_handlers_come_and_go() {
    let world = World::new();
    let sources = [(); 3].map(|()| Leaked::new(Source::new()));
    let first = add(&world, local(4, EdgeModel::PerCondition), &sources[0]);
    let _second = add(&world, local(4, EdgeModel::PerCondition), &sources[1]);
    first.remove().unwrap();
    let _third = add(&world, local(5, EdgeModel::PerCondition), &sources[2]);
    sources[1].0.raise();
    sources[2].0.raise();
    assert_eq!(outcomes(&world, 3), [Claimed, Absorbed, Unknown]);
}

#[test]
fn a_doorbell_that_rings_late_explains_as_many_as_it_says() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let _kept = add(&world, local(4, MESSAGE), &source);
    source.0.raise();
    assert_eq!(outcomes(&world, 4), [Claimed, Absorbed, Absorbed, Unknown]);
    assert_eq!(world.nmi.cpu_stats(0).unwrap().absorbed_by_kind, [0, 2, 0, 0]);
}

/// What the cap has ended is still in the ledger when the CPU claims next: no tick came meanwhile.
#[test]
fn a_claim_takes_no_ring_that_the_cap_has_ended() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let _kept = add(&world, local(4, MESSAGE), &source);
    for _ in 0..2 {
        source.0.raise();
        assert_eq!(take_nmi(world.nmi), Claimed);
        world.wait_us(2 * CAP_US);
    }
    source.0.raise();
    assert_eq!(outcomes(&world, 4), [Claimed, Absorbed, Absorbed, Unknown]);
}

#[test]
fn a_model_that_is_learned_holds_for_everybody_behind_the_doorbell() {
    let world = World::new();
    let sources = [Leaked::new(Source::new()), Leaked::new(Source::new())];
    let kept = sources.each_ref().map(|it| add(&world, local(4, EdgeModel::PerCondition), it));
    world.nmi.set_edge_model(kept[1].id(), MESSAGE).unwrap();
    sources[0].0.raise();
    assert_eq!(outcomes(&world, 4), [Claimed, Absorbed, Absorbed, Unknown]);
}

/// The clock alone ends nothing: the CPU may not have been able to take the edge.
#[test]
fn a_grant_ends_at_an_open_point_after_its_deadline() {
    let opens: [fn(&World); 2] = [
        |world| {
            world.nmi.tick();
        },
        |world| world.nmi.entering_idle(),
    ];
    for open in opens {
        let world = World::new();
        let source = Leaked::new(Source::new());
        let _kept = add(&world, local(4, MESSAGE), &source);
        source.0.raise();
        assert_eq!(outcomes(&world, 1), [Claimed]);
        open(&world);
        world.wait_us(1_000);
        assert_eq!(outcomes(&world, 1), [Absorbed], "stalled since");
        source.0.raise();
        assert_eq!(outcomes(&world, 1), [Claimed]);
        world.wait_us(1_000);
        open(&world);
        assert_eq!(outcomes(&world, 1), [Unknown]);
    }
}

#[test]
fn the_end_of_the_nmi_before_the_last_is_an_open_point() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let many = EdgeModel::PerEvent { late_us: 500, max_late_edges: 9 };
    let _kept = add(&world, local(4, many), &source);
    source.0.raise();
    assert_eq!(outcomes(&world, 1), [Claimed]);
    world.wait_us(1_000);
    assert_eq!(outcomes(&world, 1), [Absorbed]);
    assert_eq!(outcomes(&world, 1), [Absorbed], "it may have waited while the one before began");
    assert_eq!(outcomes(&world, 1), [Unknown], "two NMIs have been left since the deadline");
}

#[test]
fn the_cap_ends_a_grant_without_open_points() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let _kept = add(&world, local(4, MESSAGE), &source);
    source.0.raise();
    assert_eq!(outcomes(&world, 1), [Claimed]);
    world.wait_us(500 + CAP_US + 1_000);
    assert_eq!(outcomes(&world, 1), [Unknown]);
}

/// The CPU has left no NMI yet, so 0 is no moment at which it did.
#[test]
fn the_cap_ends_a_grant_on_a_clock_that_starts_anywhere() {
    for ticks in [1_000, 1 << 63] {
        let world = World::new();
        world.nmi.platform.ticks.store(ticks, Ordering::Relaxed);
        let source = Leaked::new(Source::new());
        let kept = add(&world, local(4, EdgeModel::PerCondition), &source);
        kept.claim_outside_nmi(|| ());
        world.nmi.entering_idle();
        world.wait_us(LATE_US + CAP_US + 1_000);
        assert_eq!(outcomes(&world, 1), [Unknown], "from {ticks:#x}");
    }
}

/// Time in an NMI, parking included, is no time in which the CPU could take another.
#[test]
fn a_parked_cpu_meets_its_grants_as_it_left_them() {
    let world = World::new();
    let nmi = world.nmi;
    let source = Leaked::new(Source::new());
    let _kept = add(&world, local(4, EdgeModel::PerCondition), &source);
    *nmi.platform.on_leave.lock().unwrap() = Some(std::sync::Arc::new(move |_| {
        nmi.platform.ticks.fetch_add(5_000_000, Ordering::Relaxed);
    }));
    source.0.raise();
    nmi.send(0, Request::Stop).unwrap();
    assert_eq!(outcomes(&world, 2), [Claimed, Absorbed]);
}

#[test]
fn a_deadline_from_before_a_clock_reset_has_passed() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let _kept = add(&world, local(4, MESSAGE), &source);
    world.wait_us(1_000_000);
    source.0.raise();
    assert_eq!(outcomes(&world, 1), [Claimed]);
    world.nmi.platform.ticks.store(1, Ordering::Relaxed);
    assert_eq!(outcomes(&world, 1), [Unknown]);
}

/// The edge that brought the CPU here may have been the granted one; then the ring of what it
/// claims is still to come.
#[test]
fn every_claim_raises_what_is_granted_already() {
    let world = World::new();
    let sources = [Leaked::new(Source::new()), Leaked::new(Source::new())];
    let _late = add(&world, local(4, MESSAGE), &sources[0]);
    let _plain = add(&world, local(5, EdgeModel::PerCondition), &sources[1]);
    sources[0].0.raise();
    assert_eq!(outcomes(&world, 1), [Claimed]);
    world.wait_us(400);
    sources[1].0.raise();
    assert_eq!(outcomes(&world, 1), [Claimed]);
    world.wait_us(150);
    world.nmi.tick();
    assert_eq!(outcomes(&world, 1), [Absorbed], "after its own deadline, within the claim's");
}

mod sends {
    use super::*;

    /// A send whose sender was interrupted between the request and the ring.
    fn half_a_send(world: &World) {
        crate::tests::world::begin_send(world.nmi);
    }

    fn finish(world: &World) {
        crate::tests::world::finish_send(world.nmi);
    }

    fn claimed_with_a_pmi() -> (World, Leaked<Source>, Registration) {
        let world = World::new();
        let source = Leaked::new(Source::new());
        let kept = add(&world, local(4, EdgeModel::PerCondition), &source);
        source.0.raise();
        half_a_send(&world);
        assert_eq!(outcomes(&world, 1), [Claimed]);
        (world, source, kept)
    }

    #[test]
    fn an_unfinished_send_holds_what_was_granted_and_its_end_gives_it_late_more() {
        let (world, _source, _kept) = claimed_with_a_pmi();
        for _ in 0..5 {
            world.wait_us(1_000);
            world.nmi.tick();
        }
        finish(&world);
        world.nmi.tick();
        world.wait_us(LATE_US - 50);
        world.nmi.tick();
        assert_eq!(outcomes(&world, 2), [Absorbed, Unknown]);
    }

    #[test]
    fn what_was_granted_ends_late_after_the_send_finished() {
        let (world, _source, _kept) = claimed_with_a_pmi();
        world.nmi.tick();
        finish(&world);
        world.nmi.tick();
        world.wait_us(2 * LATE_US);
        world.nmi.tick();
        assert_eq!(outcomes(&world, 1), [Unknown]);
    }

    /// What brought the CPU here may be found later, by a poll, and its grant must last for the
    /// send's ring.
    #[test]
    fn an_unfinished_send_holds_also_what_is_granted_after_it_was_taken() {
        let world = World::new();
        let external = Leaked::new(Source::new());
        let _kept = add(&world, platform(EdgeModel::PerCondition), &external);
        external.0.raise();
        half_a_send(&world);
        assert_eq!(outcomes(&world, 1), [Claimed]);
        for _ in 0..5 {
            world.wait_us(1_000);
            world.nmi.tick();
        }
        assert_eq!(external.0.claims(), 1);
        finish(&world);
        world.nmi.tick();
        assert_eq!(outcomes(&world, 2), [Absorbed, Unknown]);
    }

    #[test]
    fn a_send_that_never_finishes_is_written_off_and_a_later_one_holds_as_ever() {
        let world = World::new();
        half_a_send(&world);
        assert_eq!(outcomes(&world, 1), [Claimed]);
        for _ in 0..30 {
            world.wait_us(1_000);
            world.nmi.tick();
        }
        let source = Leaked::new(Source::new());
        let _kept = add(&world, local(4, EdgeModel::PerCondition), &source);
        source.0.raise();
        half_a_send(&world);
        assert_eq!(outcomes(&world, 1), [Claimed]);
        for _ in 0..5 {
            world.wait_us(1_000);
            world.nmi.tick();
        }
        finish(&world);
        world.nmi.tick();
        assert_eq!(outcomes(&world, 2), [Absorbed, Unknown]);
    }

    #[test]
    fn the_edge_of_a_stuck_send_is_a_late_one_also_where_nothing_was_granted() {
        let world = World::new();
        half_a_send(&world);
        assert_eq!(outcomes(&world, 1), [Claimed]);
        world.wait_us(30_000);
        assert_eq!(outcomes(&world, 1), [Unknown]);
        assert_eq!(world.nmi.platform.unknowns.lock().unwrap()[0].kind, UnknownKind::LateSend);
    }

    #[test]
    fn a_stuck_send_holds_nothing_and_its_edge_is_never_panicked_on() {
        let (world, _source, _kept) = claimed_with_a_pmi();
        world.nmi.set_unknown_policy(UnknownPolicy::Panic);
        for _ in 0..30 {
            world.wait_us(1_000);
            world.nmi.tick();
        }
        assert_eq!(outcomes(&world, 1), [Unknown]);
        finish(&world);
        world.nmi.tick();
        assert_eq!(outcomes(&world, 1), [Unknown]);
        let kinds: Vec<_> =
            world.nmi.platform.unknowns.lock().unwrap().iter().map(|it| it.kind).collect();
        assert_eq!(kinds, [UnknownKind::LateSend, UnknownKind::Unexplained], "it has one edge");
        assert_eq!(world.nmi.platform.left.lock().unwrap().len(), 1, "only the second panics");
    }
}

#[test]
fn a_claim_outside_an_nmi_explains_its_ring_however_soon_it_comes() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let kept = add(&world, local(4, EdgeModel::PerCondition), &source);
    source.0.raise();
    kept.claim_outside_nmi(|| {
        source.0.clear();
        assert_eq!(outcomes(&world, 1), [Absorbed], "the ring comes before the driver returns");
    });
    assert_eq!(outcomes(&world, 1), [Unknown]);
    assert_eq!(world.nmi.cpu_stats(0).unwrap().absorbed_by_kind, [0, 0, 0, 1]);
}

#[test]
fn a_claim_outside_an_nmi_is_due_as_late_as_its_doorbell_rings() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let kept = add(&world, local(4, MESSAGE), &source);
    kept.claim_outside_nmi(|| ());
    world.nmi.entering_idle();
    world.wait_us(450);
    world.nmi.entering_idle();
    assert_eq!(outcomes(&world, 4), [Absorbed, Absorbed, Absorbed, Unknown]);
}

#[test]
fn what_was_granted_does_not_outlive_being_offline() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let _kept = add(&world, local(4, MESSAGE), &source);
    source.0.raise();
    assert_eq!(outcomes(&world, 1), [Claimed]);
    world.nmi.go_offline().unwrap();
    world.nmi.come_online().unwrap();
    assert_eq!(outcomes(&world, 1), [Unknown]);
}

#[test]
fn a_repeating_unknown_under_steady_claims_is_reported_as_absorbed() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let _kept = add(&world, local(4, MESSAGE), &source);
    for _ in 0..200 {
        source.0.raise();
        assert_eq!(outcomes(&world, 2), [Claimed, Absorbed]);
        world.wait_us(100);
    }
    let reports = world.nmi.platform.absorbed.lock().unwrap();
    assert_eq!(reports.len(), 1, "at most one a second");
    assert!(matches!(reports[0].kind, GrantKind::Collapsed | GrantKind::Late), "{reports:?}");
    assert!(reports[0].absorbed > 1);
}

/// A send's edge leads to a message, whose own ring comes as late as its others.
#[test]
fn the_own_ring_of_a_message_comes_late_as_well() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let _kept = add(&world, local(4, MESSAGE), &source);
    source.0.raise();
    world.nmi.send(0, Request::Call).unwrap();
    assert_eq!(outcomes(&world, 1), [Claimed]);
    world.wait_us(300);
    world.nmi.tick();
    assert_eq!(outcomes(&world, 4), [Absorbed, Absorbed, Absorbed, Unknown]);
}

#[test]
fn the_time_in_which_an_edge_could_be_absorbed_is_counted() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let _kept = add(&world, local(4, MESSAGE), &source);
    source.0.raise();
    assert_eq!(outcomes(&world, 1), [Claimed]);
    world.wait_us(600);
    world.nmi.tick();
    let stats = world.nmi.cpu_stats(0).unwrap();
    assert!((600..700).contains(&stats.absorbable_ticks), "{stats:?}");
    assert_eq!(stats.longest_absorbable_ticks, stats.absorbable_ticks);
}

#[test]
fn limits_are_checked_when_they_are_set() {
    let world = World::new();
    let limits = Limits { overdue_us: 1_000, ..Limits::BARE_METAL };
    assert_eq!(world.nmi.set_limits(limits), Err(LimitsError::OverdueTooSoon));
    assert_eq!(world.nmi.set_limits(Limits::HYPERVISOR), Ok(()));
}
