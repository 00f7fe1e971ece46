// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machine-wide claims: on which CPUs they explain an edge, and for how long.

use super::*;

#[test]
fn a_platform_claim_explains_one_edge_on_each_other_cpu() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let _kept = add(&world, platform(EdgeModel::PerCondition), &source);
    source.0.raise();
    assert_eq!(outcomes(&world, 1), [Claimed]);
    become_cpu(Some(1));
    assert_eq!(outcomes(&world, 2), [Absorbed, Unknown]);
    become_cpu(Some(0));
    assert_eq!(outcomes(&world, 1), [Unknown], "its own ring brought it here");
}

/// A claim whose publisher was held up between its clock and its store does not shorten the next
/// one's time.
#[test]
fn a_claim_that_is_published_late_leaves_the_deadline_of_a_newer_one() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let _kept = add(&world, platform(EdgeModel::PerCondition), &source);
    world.wait_us(5_000);
    source.0.raise();
    assert_eq!(outcomes(&world, 1), [Claimed]);
    let core = &world.nmi.core;
    let limits = world.nmi.limits();
    let slot = core.registry.slot(Class::Platform, 0).unwrap();
    let until = Timestamp::from_ticks(1_000);
    slot.published.publish(&core.recovery.hot.machine_wide, 1, until, until, limits);
    become_cpu(Some(1));
    world.nmi.entering_idle();
    assert_eq!(outcomes(&world, 3), [Absorbed, Absorbed, Unknown]);
}

/// The edge of the newer one may have been the ring of the older one. Then its own ring is still to
/// come.
#[test]
fn a_claim_that_is_seen_late_lasts_as_long_as_a_newer_one_of_this_cpu() {
    let world = World::new();
    let sources = [Leaked::new(Source::new()), Leaked::new(Source::new())];
    let _external = add(&world, platform(EdgeModel::PerCondition), &sources[0]);
    let _plain = add(&world, local(4, EdgeModel::PerCondition), &sources[1]);
    world.wait_us(1_000);
    let core = &world.nmi.core;
    let limits = world.nmi.limits();
    for (waits_us, expected) in [(LATE_US - 50, Absorbed), (LATE_US + 50, Unknown)] {
        let until = world.nmi.now().after(limits.late());
        world.wait_us(100);
        sources[1].0.raise();
        assert_eq!(outcomes(&world, 1), [Claimed]);
        let slot = core.registry.slot(Class::Platform, 0).unwrap();
        slot.published.publish(&core.recovery.hot.machine_wide, 1, until, until, limits);
        world.nmi.entering_idle();
        world.wait_us(waits_us);
        world.nmi.entering_idle();
        assert_eq!(outcomes(&world, 1), [expected], "after {waits_us} us");
    }
}

#[test]
fn a_deadline_as_late_as_the_cap_may_come_from_a_clock_that_is_ahead() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let late = EdgeModel::PerEvent { late_us: CAP_US as u32, max_late_edges: 0 };
    let _kept = add(&world, platform(late), &source);
    world.wait_us(1_000);
    source.0.raise();
    assert_eq!(outcomes(&world, 1), [Claimed]);
    world.nmi.platform.ticks.fetch_sub(500, Ordering::Relaxed);
    become_cpu(Some(1));
    assert_eq!(outcomes(&world, 2), [Absorbed, Unknown]);
}

#[test]
fn a_route_that_goes_elsewhere_explains_nothing() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let spec = platform(EdgeModel::PerCondition).delivery(PlatformDelivery::Bsp);
    let kept = add(&world, spec, &source);
    source.0.raise();
    assert_eq!(outcomes(&world, 1), [Claimed]);
    become_cpu(Some(1));
    assert_eq!(outcomes(&world, 1), [Unknown]);
    world.nmi.set_delivery(kept.id(), PlatformDelivery::Cpus(&[1])).unwrap();
    world.wait_us(20_000);
    source.0.raise();
    become_cpu(Some(0));
    assert_eq!(outcomes(&world, 2), [Unknown, Unknown], "the claim's ring does not come here");
    assert_eq!(source.0.claims(), 2);
    become_cpu(Some(1));
    assert_eq!(outcomes(&world, 2), [Absorbed, Unknown]);
}

#[test]
fn the_boot_cpus_role_can_be_handed_over() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let spec = platform(EdgeModel::PerCondition).delivery(PlatformDelivery::Bsp);
    let _kept = add(&world, spec, &source);
    world.nmi.set_boot_cpu(1).unwrap();
    world.wait_us(20_000);
    source.0.raise();
    assert_eq!(outcomes(&world, 1), [Unknown], "the claim's ring does not come here");
    become_cpu(Some(1));
    assert_eq!(outcomes(&world, 1), [Absorbed]);
}

#[test]
fn routes_to_nowhere_are_refused() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let kept = add(&world, local(4, EdgeModel::PerCondition), &source);
    let refused = world.nmi.set_delivery(kept.id(), PlatformDelivery::All);
    assert_eq!(refused, Err(SpecError::NotPlatform(Class::Local)));
    assert_eq!(world.nmi.set_boot_cpu(7), Err(SpecError::NoSuchCpu { cpu: 7 }));
    let id = kept.id();
    kept.remove().unwrap();
    assert_eq!(world.nmi.set_edge_model(id, MESSAGE), Err(SpecError::Stale));
}

#[test]
fn each_of_a_burst_of_claims_elsewhere_explains_its_ring() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let _kept = add(&world, platform(EdgeModel::PerCondition), &source);
    for _ in 0..4 {
        world.wait_us(20);
        source.0.raise();
        assert_eq!(outcomes(&world, 1), [Claimed]);
    }
    become_cpu(Some(1));
    assert_eq!(outcomes(&world, 5), [Absorbed, Absorbed, Absorbed, Absorbed, Unknown]);
}

/// A tick is a moment at which a ring that was claimed elsewhere long ago would have been taken.
#[test]
fn a_claim_elsewhere_ends_at_an_open_point_though_this_cpu_had_not_looked_at_it() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let _kept = add(&world, platform(EdgeModel::PerCondition), &source);
    source.0.raise();
    assert_eq!(outcomes(&world, 1), [Claimed]);
    world.wait_us(1_000);
    become_cpu(Some(1));
    world.nmi.tick();
    assert_eq!(outcomes(&world, 1), [Unknown]);
}

/// The ring of a claim that was made while this CPU was parked waits in its latch until then.
#[test]
fn a_parked_cpu_meets_what_was_claimed_elsewhere_meanwhile() {
    let world = World::new();
    let nmi = world.nmi;
    let source = Leaked::new(Source::new());
    let external = source.0;
    let _kept = add(&world, platform(EdgeModel::PerCondition), &source);
    *nmi.platform.on_leave.lock().unwrap() = Some(std::sync::Arc::new(move |_| {
        become_cpu(Some(1));
        external.raise();
        assert_eq!(take_nmi(nmi), Claimed);
        become_cpu(Some(0));
        nmi.platform.ticks.fetch_add(5_000_000, Ordering::Relaxed);
    }));
    nmi.send(0, Request::Stop).unwrap();
    assert_eq!(outcomes(&world, 3), [Claimed, Absorbed, Unknown]);
}

/// The edge of this CPU's own claim was the ring of an old one, which counts only just. Then its
/// own ring comes when that counts no more.
#[test]
fn a_claim_adopts_what_was_claimed_before_it() {
    let world = World::new();
    let sources = [Leaked::new(Source::new()), Leaked::new(Source::new())];
    let _external = add(&world, platform(EdgeModel::PerCondition), &sources[0]);
    let _plain = add(&world, local(4, EdgeModel::PerCondition), &sources[1]);
    sources[0].0.raise();
    assert_eq!(outcomes(&world, 1), [Claimed]);
    become_cpu(Some(1));
    world.wait_us(LATE_US + CAP_US - 50);
    sources[1].0.raise();
    assert_eq!(outcomes(&world, 1), [Claimed]);
    world.wait_us(100);
    assert_eq!(outcomes(&world, 2), [Absorbed, Unknown]);
}
