// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clocks that step back, are reset, differ between CPUs, are very slow or very fast; and ticks of
//! 10 Hz and of 10 kHz.

use super::super::{
    scene::{Scene, local, scene},
    source::Source,
    world::{Leaked, TestPlatform, Victim, World, become_cpu, spec, take_nmi},
};
use crate::{
    Claim, Class, Doorbell, EdgeModel, HandlerSpec, Limits, LimitsError, Nmi, NmiContext,
    NmiHandler, Outcome, RemoveFailure, Request,
    primitive::{Ordering, checked::interrupt},
};

const LATE_US: usize = Limits::BARE_METAL.late_us as usize;
const CAP_US: usize = Limits::BARE_METAL.cap_us as usize;

fn set_clock(nmi: &Nmi<TestPlatform>, ticks: usize) {
    nmi.platform.ticks.store(ticks, Ordering::Relaxed);
}

/// A handler in which the clock steps back by so many ticks.
struct StepsBack(&'static Nmi<TestPlatform>, usize);

// SAFETY: it locks nothing, blocks nowhere, allocates nothing and is `Sync` by its own atomics.
unsafe impl NmiHandler for StepsBack {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        self.0.platform.ticks.fetch_sub(self.1, Ordering::Relaxed);
        Claim::Handled
    }
}

#[test]
fn a_step_back_in_an_nmi_is_no_long_dispatch() {
    let world = World::new();
    let nmi = world.nmi;
    world.wait_us(5_000);
    let handler = Leaked::new(StepsBack(nmi, 300));
    let kept = nmi.register(&spec("steps back", Class::Local), handler.0).unwrap();
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    let stats = nmi.cpu_stats(0).unwrap();
    assert!(stats.max_ticks < 100 && stats.total_ticks < 100, "{stats:?}");
    assert_eq!(nmi.handler_stats(kept.id(), 0).unwrap().max_ticks, 0);
    kept.remove().unwrap();
}

/// Each step is as long as the time that passed since the one before: the clock stands.
#[test]
fn events_are_found_on_a_clock_that_steps_back_all_the_time() {
    let scene = scene();
    let nmi = scene.world.nmi;
    scene.world.wait_us(1_000_000);
    for _ in 0..20 {
        scene.collapse();
        scene.tick_after_us(1_100);
        nmi.platform.ticks.fetch_sub(1_100, Ordering::Relaxed);
        nmi.tick();
        scene.tick_after_us(1_200);
        assert!(!scene.external.0.is_raised());
    }
    assert_eq!((scene.external.0.claims(), nmi.cpu_stats(0).unwrap().unknown), (20, 0));
}

#[test]
fn events_are_found_after_the_clock_was_reset() {
    let scene = scene();
    scene.world.wait_us(50_000_000);
    for _ in 0..3 {
        scene.collapse();
        set_clock(scene.world.nmi, 0);
        scene.world.nmi.tick();
        assert!(!scene.external.0.is_raised(), "a debt from the future is old");
        scene.world.wait_us(9_000_000);
    }
}

#[test]
fn a_removal_keeps_its_limit_when_the_clock_restarts() {
    let world = World::new();
    let nmi = world.nmi;
    let victim = Leaked::new(Victim::new(Claim::None));
    let registration = nmi.register(&spec("victim", Class::Local), victim.0).unwrap();
    set_clock(nmi, 60_000);
    nmi.platform.ticks_per_reading.store(10, Ordering::Relaxed);
    world.cpus[1].own.read.enter();
    interrupt::arm(100, move || set_clock(nmi, 0));
    let error = registration.remove_within_ms(5).unwrap_err();
    world.cpus[1].own.read.leave();
    assert!(interrupt::disarm(), "the clock was reset during the wait");
    assert!(matches!(error.failure, RemoveFailure::StillRunning { cpu: 1, waited_ms: 5, .. }));
    let ticks = nmi.platform.ticks.load(Ordering::Relaxed);
    assert!(ticks < 20_000, "5 ms are 5,000 ticks, and it waited until {ticks}");
    error.registration.remove().unwrap();
}

#[test]
fn a_removal_on_a_cpu_whose_clock_is_a_little_behind_waits_its_time() {
    let world = World::new();
    let nmi = world.nmi;
    let victim = Leaked::new(Victim::new(Claim::None));
    let registration = nmi.register(&spec("victim", Class::Local), victim.0).unwrap();
    set_clock(nmi, 10_000);
    world.cpus[1].own.read.enter();
    interrupt::arm(20, move || {
        nmi.platform.ticks.fetch_sub(50, Ordering::Relaxed);
    });
    let error = registration.remove_within_ms(5).unwrap_err();
    world.cpus[1].own.read.leave();
    assert!(interrupt::disarm());
    let waited = nmi.platform.ticks.load(Ordering::Relaxed) + 50 - 10_000;
    assert!((5_000..5_200).contains(&waited), "{waited}");
    error.registration.remove().unwrap();
}

const MESSAGE: EdgeModel = EdgeModel::PerEvent { late_us: 500, max_late_edges: 2 };

/// Each claim explains the edge that comes with it, which may be an unknown that repeats.
fn absorb_for_20_ms(world: &World, source: &Source) {
    for _ in 0..200 {
        source.raise();
        assert_eq!(take_nmi(world.nmi), Outcome::Claimed);
        assert_eq!(take_nmi(world.nmi), Outcome::Absorbed);
        world.wait_us(100);
    }
}

/// The documented way through a suspend: offline, and online again with another clock.
#[test]
fn what_is_absorbed_is_reported_after_a_suspend_that_resets_the_clock() {
    for goes_offline in [true, false] {
        let world = World::new();
        let nmi = world.nmi;
        let source = Leaked::new(Source::new());
        let message = HandlerSpec::new("message", Class::Local, Doorbell::Local(4), MESSAGE);
        let _kept = nmi.register(&message, source.0).unwrap();
        let reports = || nmi.platform.absorbed.lock().unwrap().len();
        world.wait_us(60_000_000);
        absorb_for_20_ms(&world, source.0);
        assert_eq!(reports(), 1);
        if goes_offline {
            nmi.go_offline().unwrap();
        }
        set_clock(nmi, 1_000);
        nmi.come_online().unwrap();
        nmi.tick();
        absorb_for_20_ms(&world, source.0);
        assert_eq!(reports(), 2, "offline meanwhile: {goes_offline}");
    }
}

#[test]
fn an_unknown_is_reported_after_the_clock_was_reset() {
    let world = World::new();
    world.wait_us(60_000_000);
    assert_eq!(take_nmi(world.nmi), Outcome::Unknown);
    set_clock(world.nmi, 0);
    assert_eq!(take_nmi(world.nmi), Outcome::Unknown);
    assert_eq!(world.nmi.platform.unknowns.lock().unwrap().len(), 2);
}

/// What is found out later than it came counts as reported when it was found out.
#[test]
fn an_edge_that_is_settled_late_is_reported_at_the_same_rate() {
    let scene = scene();
    let nmi = scene.world.nmi;
    scene.world.wait_us(1_000_000);
    let poll = nmi.core.recovery.polls.take(1).unwrap();
    assert_eq!(take_nmi(nmi), Outcome::Deferred);
    nmi.core.recovery.polls.end(poll);
    scene.world.wait_us(99_000);
    assert_eq!(take_nmi(nmi), Outcome::Unknown, "and the first one is settled by it");
    assert_eq!(nmi.cpu_stats(0).unwrap().unknown, 2);
    scene.world.wait_us(2_000);
    assert_eq!(take_nmi(nmi), Outcome::Unknown);
    assert_eq!(nmi.platform.unknowns.lock().unwrap().len(), 1, "one in 100 ms");
    scene.world.wait_us(100_000);
    assert_eq!(take_nmi(nmi), Outcome::Unknown);
    let unknowns = nmi.platform.unknowns.lock().unwrap();
    assert_eq!((unknowns.len(), unknowns[1].suppressed), (2, 2), "they are not forgotten");
}

/// An external event whose handler CPU 0 asks, and whose ring comes to CPU 1, whose clock is so far
/// ahead, and which has a tick in between.
fn ring_elsewhere(ahead_us: isize) -> Outcome {
    let scene = scene();
    let nmi = scene.world.nmi;
    set_clock(nmi, 1_000_000);
    scene.external.0.raise();
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    become_cpu(Some(1));
    nmi.platform.ticks.fetch_add(ahead_us as usize, Ordering::Relaxed);
    nmi.entering_idle();
    take_nmi(nmi)
}

/// The bound: a ring is explained elsewhere if its CPU's clock is ahead by less than `late_us`, the
/// time that the ring takes included, or behind by less than `cap_us`.
#[test]
fn a_ring_elsewhere_is_explained_within_the_skew_that_is_allowed() {
    let (late, cap) = (LATE_US as isize, CAP_US as isize);
    for ahead_us in [0, late - 20, 20 - cap] {
        assert_eq!(ring_elsewhere(ahead_us), Outcome::Absorbed, "{ahead_us} us ahead");
    }
}

/// Beyond the bound, the ring may be called unknown. But its event was handled.
#[test]
fn beyond_the_skew_that_is_allowed_no_event_is_lost_and_no_edge_is_forgotten() {
    for ahead_us in [3 * LATE_US as isize, 100 * CAP_US as isize, -3 * CAP_US as isize] {
        let outcome = ring_elsewhere(ahead_us);
        let is_told = matches!(outcome, Outcome::Absorbed | Outcome::Unknown);
        assert!(is_told, "{ahead_us} us ahead: {outcome:?}");
    }
}

/// CPU 1 owes a poll by its clock, and CPU 0, whose clock is another, pays.
#[test]
fn a_debt_is_paid_whatever_the_clocks_of_two_cpus_say() {
    for ahead_us in [0, 500, -500, 3_000, -3_000, 1_000_000, -1_000_000] {
        let scene = scene();
        let nmi = scene.world.nmi;
        set_clock(nmi, 2_000_000);
        become_cpu(Some(1));
        let step = |us: isize| nmi.platform.ticks.fetch_add(us as usize, Ordering::Relaxed);
        step(ahead_us);
        scene.collapse();
        step(-ahead_us);
        become_cpu(Some(0));
        // Within the overdue time, a debt may look as much younger as its clock is ahead.
        let overdue_us = Limits::BARE_METAL.overdue_us as usize;
        let ticks = 2 + overdue_us / 1_000;
        (0..ticks).for_each(|_| scene.tick_after_us(1_100));
        assert!(!scene.external.0.is_raised(), "{ahead_us} us ahead");
    }
}

/// The kernel finds out late how fast its clock is.
#[test]
fn a_rate_that_changes_loses_no_event_and_hides_no_unknown_for_ever() {
    for (before, after) in [(1_000, 3_000_000), (3_000_000, 1_000), (1_000, 1), (1, 3_000_000)] {
        let scene = scene_at(before);
        let nmi = scene.world.nmi;
        scene.collapse();
        nmi.send(0, Request::Call).unwrap();
        nmi.platform.ticks_per_ms.store(after, Ordering::Relaxed);
        (0..10).for_each(|_| scene.tick_after_us(2_000));
        assert!(!scene.external.0.is_raised(), "{before} to {after}");
        assert_eq!(take_nmi(nmi), Outcome::Claimed);
        (0..30).for_each(|_| scene.tick_after_us(2_000));
        assert_eq!(take_nmi(nmi), Outcome::Unknown, "{before} to {after}");
    }
}

fn scene_at(ticks_per_ms: usize) -> Scene {
    let scene = scene();
    let nmi = scene.world.nmi;
    nmi.platform.ticks_per_ms.store(ticks_per_ms, Ordering::Relaxed);
    scene.tick_after_us(10_000);
    scene
}

/// A tick a millisecond: what is shorter counts as one tick, and never as no time.
#[test]
fn no_time_is_none_on_a_slow_clock() {
    let scene = scene_at(1);
    let nmi = scene.world.nmi;
    for limits in
        [Limits::BARE_METAL, Limits::HYPERVISOR, Limits { late_us: 1, ..Limits::default() }]
    {
        assert_eq!(nmi.set_limits(limits), Ok(()));
        let ticks = nmi.limits();
        assert_eq!((ticks.late(), ticks.tick_period(), ticks.overdue()), (1, 1, 4));
        assert_eq!(ticks.cap() as u32, limits.cap_us / 1_000);
    }
    scene.pmi.0.raise();
    nmi.send(0, Request::Call).unwrap();
    set_clock(nmi, 100_000);
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    assert_eq!(take_nmi(nmi), Outcome::Absorbed);
    scene.external.0.raise();
    scene.pmi.0.raise();
    take_nmi(nmi);
    scene.tick_after_us(4_000);
    assert!(!scene.external.0.is_raised());
}

#[test]
fn a_fast_clock_counts_every_limit_or_refuses_it() {
    let scene = scene_at(10_000_000_000);
    let nmi = scene.world.nmi;
    assert_eq!(nmi.set_limits(Limits::HYPERVISOR), Ok(()));
    let ticks = nmi.limits();
    assert_eq!((ticks.late(), ticks.cap()), (2_000_000_000, 10_000_000_000_000));
    scene.collapse();
    scene.tick_after_us(900);
    assert!(scene.external.0.is_raised(), "younger than a tick period");
    scene.tick_after_us(200);
    assert!(!scene.external.0.is_raised());
    let longest = Limits { overdue_us: u32::MAX, ..Limits::BARE_METAL };
    assert_eq!(nmi.set_limits(longest), Err(LimitsError::TooLong { longest_us: u32::MAX }));
    nmi.platform.ticks_per_ms.store(usize::MAX, Ordering::Relaxed);
    assert!(matches!(nmi.set_limits(Limits::BARE_METAL), Err(LimitsError::TooLong { .. })));
}

/// What is lost is found a tick period after it was owed, by the tick after that at the latest; and
/// the machine polls once a period at most, though each CPU owes a poll before each of its ticks.
#[test]
fn recovery_goes_by_the_tick_at_10_hz_and_at_10_khz() {
    for period_us in [100_000, 100] {
        let scene = scene();
        let nmi = scene.world.nmi;
        let limits = Limits {
            tick_period_us: period_us as u32,
            overdue_us: 4 * period_us as u32,
            ..Limits::BARE_METAL
        };
        nmi.set_limits(limits).unwrap();
        let before = nmi.recovery_stats();
        for period in 0..100 {
            if period % 2 == 0 {
                assert!(!scene.external.0.is_raised(), "two periods of {period_us} us");
                scene.external.0.raise();
            }
            for cpu in [0, 1] {
                become_cpu(Some(cpu));
                scene.pmi.0.raise();
                assert_eq!(take_nmi(nmi), Outcome::Claimed);
                scene.tick_after_us(period_us / 2);
            }
        }
        let stats = nmi.recovery_stats();
        let (polls, recovered) = (stats.polls - before.polls, stats.recovered - before.recovered);
        assert_eq!(recovered, 50);
        assert!(polls <= 100, "{polls} polls in 100 periods of {period_us} us");
    }
}

/// A tick ends what was granted once its time is over: not before, and not a tick later.
#[test]
fn grants_end_by_the_tick_at_10_hz_and_at_10_khz() {
    for (tick_us, expected) in [(100, Outcome::Absorbed), (300, Outcome::Unknown)] {
        let world = World::new();
        let source = Leaked::new(Source::new());
        let _kept = world.nmi.register(&local(), source.0).unwrap();
        source.0.raise();
        world.nmi.send(0, Request::Call).unwrap();
        assert_eq!(take_nmi(world.nmi), Outcome::Claimed);
        (0..tick_us / 100).for_each(|_| {
            world.wait_us(100);
            world.nmi.tick();
        });
        assert_eq!(take_nmi(world.nmi), expected, "after {tick_us} us at 10 kHz");
    }
    let world = World::new();
    let source = Leaked::new(Source::new());
    let _kept = world.nmi.register(&local(), source.0).unwrap();
    source.0.raise();
    world.nmi.send(0, Request::Call).unwrap();
    assert_eq!(take_nmi(world.nmi), Outcome::Claimed);
    world.wait_us(LATE_US + CAP_US + 100);
    assert_eq!(take_nmi(world.nmi), Outcome::Unknown, "at 10 Hz the cap ends it");
}
