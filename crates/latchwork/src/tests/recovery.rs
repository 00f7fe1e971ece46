// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is owed, who pays it and when, and what becomes of edges that waited.

use std::vec::Vec;

use super::{
    scene::{local, platform, scene},
    source::Source,
    world::{Leaked, World, become_cpu, take_nmi, take_work_interrupt},
};
use crate::{
    Claim, Class, Doorbell, EdgeModel, HandlerSpec, NmiContext, NmiHandler, Outcome, Recovery,
    Request, StormSource, UnknownKind,
    primitive::{Counter, Ordering},
};

#[test]
fn a_lost_external_event_is_found_by_the_tick_and_counted_as_recovered() {
    let scene = scene();
    let before = scene.world.nmi.recovery_stats();
    scene.collapse();
    scene.tick_after_us(500);
    assert!(scene.external.0.is_raised(), "the debt is younger than a tick period");
    scene.tick_after_us(600);
    assert!(!scene.external.0.is_raised());
    let stats = scene.world.nmi.recovery_stats();
    assert_eq!(stats.recovered - before.recovered, 1);
    assert_eq!((stats.polls - before.polls, stats.probes), (1, 0));
    assert_eq!(scene.world.nmi.platform.rung[0].load(Ordering::Relaxed), 0, "no extra NMI");
}

#[test]
fn any_cpus_tick_pays() {
    let scene = scene();
    scene.collapse();
    become_cpu(Some(1));
    scene.tick_after_us(1_100);
    assert!(!scene.external.0.is_raised());
}

#[test]
fn a_probe_asks_the_platform_handlers_in_an_nmi_and_its_edge_is_claimed() {
    let scene = scene();
    let nmi = scene.world.nmi;
    nmi.set_recovery(Recovery::ProbeNmi);
    scene.collapse();
    scene.tick_after_us(1_100);
    assert!(scene.external.0.is_raised());
    assert_eq!(nmi.platform.rung[0].load(Ordering::Relaxed), 1);
    become_cpu(Some(1));
    nmi.tick();
    assert_eq!(nmi.platform.rung[1].load(Ordering::Relaxed), 0, "one probe is enough");
    become_cpu(Some(0));
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    assert!(!scene.external.0.is_raised());
    assert_eq!(nmi.recovery_stats().probes, 1);
}

#[test]
fn a_cpu_without_ticks_pays_an_overdue_debt_in_its_nmi() {
    let scene = scene();
    scene.collapse();
    scene.world.wait_us(3_900);
    scene.pmi.0.raise();
    take_nmi(scene.world.nmi);
    assert!(scene.external.0.is_raised());
    scene.world.wait_us(200);
    scene.pmi.0.raise();
    assert_eq!(take_nmi(scene.world.nmi), Outcome::Claimed);
    assert!(!scene.external.0.is_raised());
    assert_eq!(scene.world.nmi.recovery_stats().paid_overdue, 1);
}

#[test]
fn whoever_registers_comes_online_or_opens_a_route_owes_a_poll() {
    let scene = scene();
    let nmi = scene.world.nmi;
    let owes = || nmi.core.recovery.hot.debt.owed().is_some();
    let pay = || scene.tick_after_us(1_100);
    let late = Leaked::new(Source::new());
    late.0.raise();
    let spec =
        HandlerSpec::new("late", Class::Platform, Doorbell::Platform(2), EdgeModel::PerCondition);
    let kept = nmi.register(&spec, late.0).unwrap();
    pay();
    assert_eq!(late.0.claims(), 1, "its line was asserted before it came");
    nmi.set_delivery(kept.id(), crate::PlatformDelivery::Bsp).unwrap();
    assert!(owes());
    pay();
    nmi.set_boot_cpu(1).unwrap();
    assert!(owes());
    pay();
    nmi.go_offline().unwrap();
    assert!(!owes());
    nmi.come_online().unwrap();
    assert!(owes());
    pay();
    nmi.owe_poll();
    assert!(owes());
}

#[test]
fn without_platform_handlers_nothing_is_owed() {
    let world = World::new();
    let pmi = Leaked::new(Source::new());
    let _kept = world.nmi.register(&local(), pmi.0).unwrap();
    pmi.0.raise();
    take_nmi(world.nmi);
    assert!(world.nmi.core.recovery.hot.debt.owed().is_none());
}

mod stopped_ticks {
    use super::*;

    #[test]
    fn the_maker_of_a_debt_asks_for_a_tick_and_nobody_else_does() {
        let scene = scene();
        let nmi = scene.world.nmi;
        nmi.tick_stopped();
        scene.collapse();
        take_work_interrupt(nmi);
        assert_eq!(nmi.platform.ticks_wanted.load(Ordering::Relaxed), 1);
        nmi.tick_restarted();
        become_cpu(Some(1));
        nmi.tick_stopped();
        scene.pmi.0.raise();
        take_nmi(nmi);
        take_work_interrupt(nmi);
        assert_eq!(nmi.platform.ticks_wanted.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_debt_that_was_made_before_the_tick_stopped_is_seen() {
        let scene = scene();
        let nmi = scene.world.nmi;
        scene.collapse();
        nmi.tick_stopped();
        take_work_interrupt(nmi);
        assert_eq!(nmi.platform.ticks_wanted.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_maker_that_goes_offline_pays() {
        let scene = scene();
        scene.collapse();
        scene.world.nmi.go_offline().unwrap();
        scene.world.nmi.run_work();
        assert!(!scene.external.0.is_raised());
        scene.world.nmi.come_online().unwrap();
    }

    #[test]
    fn whoever_marks_a_maker_answers_for_its_debt() {
        let scene = scene();
        let nmi = scene.world.nmi;
        become_cpu(Some(1));
        scene.collapse();
        become_cpu(Some(0));
        nmi.tick_stopped();
        // SAFETY: no thread is CPU 1.
        unsafe { nmi.mark_offline(1) }.unwrap();
        take_work_interrupt(nmi);
        assert_eq!(nmi.platform.ticks_wanted.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn whoever_marks_a_maker_answers_for_an_edge_that_waits_too() {
        let scene = scene();
        let nmi = scene.world.nmi;
        let poll = nmi.core.recovery.polls.take(0).unwrap();
        become_cpu(Some(1));
        assert_eq!(take_nmi(nmi), Outcome::Deferred);
        become_cpu(Some(0));
        nmi.core.recovery.polls.end(poll);
        nmi.tick_stopped();
        // SAFETY: no thread is CPU 1.
        unsafe { nmi.mark_offline(1) }.unwrap();
        take_work_interrupt(nmi);
        assert_eq!(nmi.platform.ticks_wanted.load(Ordering::Relaxed), 1);
    }

    /// Another CPU made the debt, and nobody but this CPU may settle this CPU's edge.
    #[test]
    fn a_cpu_does_not_sleep_over_an_edge_that_it_deferred() {
        let scene = scene();
        let nmi = scene.world.nmi;
        let polls = &nmi.core.recovery.polls;
        let poll = polls.take(0).unwrap();
        become_cpu(Some(1));
        assert_eq!(take_nmi(nmi), Outcome::Deferred);
        become_cpu(Some(0));
        nmi.tick_stopped();
        assert_eq!(take_nmi(nmi), Outcome::Deferred);
        polls.end(poll);
        take_work_interrupt(nmi);
        assert_eq!(nmi.platform.ticks_wanted.load(Ordering::Relaxed), 1);
        nmi.tick_restarted();
        nmi.tick_stopped();
        take_work_interrupt(nmi);
        assert_eq!(nmi.platform.ticks_wanted.load(Ordering::Relaxed), 2, "it is not settled");
        nmi.tick_restarted();
        scene.tick_after_us(1_100);
        assert_eq!(nmi.cpu_stats(0).unwrap().unknown, 1);
        nmi.tick_stopped();
        take_work_interrupt(nmi);
        assert_eq!(nmi.platform.ticks_wanted.load(Ordering::Relaxed), 2);
    }
}

mod deferred {
    use super::*;

    #[test]
    fn an_edge_is_explained_by_what_the_poll_it_overlapped_claimed() {
        let scene = scene();
        let nmi = scene.world.nmi;
        let polls = &nmi.core.recovery.polls;
        let poll = polls.take(1).unwrap();
        assert_eq!(take_nmi(nmi), Outcome::Deferred);
        crate::tests::world::publish_claim(nmi);
        polls.end(poll);
        nmi.tick();
        assert_eq!(nmi.cpu_stats(0).unwrap().absorbed, 0, "no later poll has finished");
        scene.tick_after_us(1_100);
        let stats = nmi.cpu_stats(0).unwrap();
        assert_eq!((stats.absorbed, stats.unknown), (1, 0));
    }

    /// What explains three edges is adopted before a later poll lets the CPU judge them. Neither
    /// the ticks nor the NMIs until then end it.
    #[test]
    fn no_open_point_ends_what_an_edge_that_waits_may_need() {
        for by_ticks in [true, false] {
            let scene = scene();
            let nmi = scene.world.nmi;
            let polls = &nmi.core.recovery.polls;
            let poll = polls.take(1).unwrap();
            (0..3).for_each(|_| assert_eq!(take_nmi(nmi), Outcome::Deferred));
            (0..3).for_each(|_| crate::tests::world::publish_claim(nmi));
            polls.end(poll);
            for _ in 0..2 {
                scene.world.wait_us(400);
                if by_ticks {
                    nmi.tick();
                } else {
                    scene.pmi.0.raise();
                    assert_eq!(take_nmi(nmi), Outcome::Claimed);
                }
            }
            assert!(nmi.core.cpus()[0].deferred.has_waiting());
            scene.tick_after_us(400);
            let stats = nmi.cpu_stats(0).unwrap();
            assert_eq!((stats.absorbed, stats.unknown), (3, 0), "by ticks: {by_ticks}");
        }
    }

    /// The later poll has looked at the source when that rings again. What this ring is for only a
    /// still later poll finds, so the ring takes nothing from the edge that is judged before.
    #[test]
    fn a_later_edge_takes_no_ring_while_an_earlier_one_waits() {
        let scene = scene();
        let nmi = scene.world.nmi;
        let polls = &nmi.core.recovery.polls;
        let poll = polls.take(1).unwrap();
        assert_eq!(take_nmi(nmi), Outcome::Deferred);
        crate::tests::world::publish_claim(nmi);
        polls.end(poll);
        let later = polls.take(1).unwrap();
        scene.external.0.raise();
        take_nmi(nmi);
        polls.end(later);
        scene.pmi.0.raise();
        assert_eq!(take_nmi(nmi), Outcome::Claimed);
        scene.tick_after_us(1_100);
        let stats = nmi.cpu_stats(0).unwrap();
        assert_eq!((stats.absorbed, stats.unknown), (2, 0));
    }

    #[test]
    fn an_edge_that_no_poll_explains_is_unknown_and_says_where_it_came() {
        let scene = scene();
        let nmi = scene.world.nmi;
        let polls = &nmi.core.recovery.polls;
        let poll = polls.take(1).unwrap();
        assert_eq!(take_nmi(nmi), Outcome::Deferred);
        polls.end(poll);
        scene.tick_after_us(1_100);
        let unknowns = nmi.platform.unknowns.lock().unwrap();
        assert_eq!((unknowns[0].kind, unknowns[0].ip), (UnknownKind::Deferred, 0x1000));
    }

    /// Its own CPU's grants may be there for it, and another CPU's are not.
    #[test]
    fn an_edge_is_settled_by_its_own_cpu() {
        let scene = scene();
        let nmi = scene.world.nmi;
        let polls = &nmi.core.recovery.polls;
        let poll = polls.take(1).unwrap();
        assert_eq!(take_nmi(nmi), Outcome::Deferred);
        polls.end(poll);
        become_cpu(Some(1));
        scene.tick_after_us(1_100);
        nmi.tick();
        let seen = |cpu| nmi.cpu_stats(cpu).unwrap().unknown;
        assert_eq!((seen(0), seen(1)), (0, 0));
        become_cpu(Some(0));
        nmi.tick();
        assert_eq!((seen(0), seen(1)), (1, 0));
    }

    #[test]
    fn an_edge_whose_poll_was_the_last_with_handlers_is_settled_all_the_same() {
        let mut scene = scene();
        let nmi = scene.world.nmi;
        let polls = &nmi.core.recovery.polls;
        let poll = polls.take(1).unwrap();
        assert_eq!(take_nmi(nmi), Outcome::Deferred);
        scene.kept.remove(1).remove().unwrap();
        polls.end(poll);
        scene.tick_after_us(1_100);
        assert_eq!(nmi.cpu_stats(0).unwrap().unknown, 1);
    }

    /// The poll that an edge overlaps has looked at its sources, perhaps. So it pays nothing for
    /// that edge.
    #[test]
    fn the_debt_for_an_edge_is_paid_by_a_later_poll_than_the_one_it_overlapped() {
        struct Defers(&'static crate::Nmi<super::super::world::TestPlatform>);
        // SAFETY: it locks nothing, blocks nowhere, allocates nothing and is `Sync` by its own
        // atomics.
        unsafe impl NmiHandler for Defers {
            fn handle(&self, _: &NmiContext<'_>) -> Claim {
                become_cpu(Some(1));
                assert_eq!(take_nmi(self.0), Outcome::Deferred);
                become_cpu(Some(0));
                Claim::None
            }
        }
        let scene = scene();
        let nmi = scene.world.nmi;
        let handler = Leaked::new(Defers(nmi));
        let spec = HandlerSpec::new(
            "defers",
            Class::Platform,
            Doorbell::Platform(2),
            EdgeModel::PerCondition,
        );
        let kept = nmi.register(&spec, handler.0).unwrap();
        take_nmi(nmi);
        let owed = nmi.core.recovery.hot.debt.owed();
        assert!(owed.is_some_and(|owed| owed.has_edge()), "two polls at once are the most");
        kept.remove().unwrap();
    }

    /// Else two CPUs whose ticks come together would keep a machine polling for ever.
    #[test]
    fn a_tick_that_finds_somebody_at_the_handlers_owes_nothing() {
        let scene = scene();
        let nmi = scene.world.nmi;
        let poll = nmi.core.recovery.polls.take(1).unwrap();
        nmi.owe_poll();
        let owed = nmi.core.recovery.hot.debt.owed();
        scene.tick_after_us(1_100);
        nmi.core.recovery.polls.end(poll);
        assert_eq!(nmi.core.recovery.hot.debt.owed(), owed);
    }

    /// It asks nobody, but its edge may be one of theirs.
    #[test]
    fn a_claimed_edge_that_finds_somebody_at_the_handlers_owes_a_poll() {
        let scene = scene();
        let nmi = scene.world.nmi;
        let poll = nmi.core.recovery.polls.take(1).unwrap();
        nmi.send(0, Request::Probe).unwrap();
        assert_eq!(take_nmi(nmi), Outcome::Claimed);
        assert!(nmi.core.recovery.hot.debt.owed().is_some());
        nmi.core.recovery.polls.end(poll);
    }

    #[test]
    fn the_holder_polls_again_for_who_waits() {
        let scene = scene();
        let nmi = scene.world.nmi;
        struct Interferes(&'static crate::Nmi<super::super::world::TestPlatform>, Counter);
        // SAFETY: it locks nothing, blocks nowhere, allocates nothing and is `Sync` by its own
        // atomics.
        unsafe impl NmiHandler for Interferes {
            fn handle(&self, _: &NmiContext<'_>) -> Claim {
                if self.1.fetch_add(1, Ordering::Relaxed) == 0 {
                    become_cpu(Some(1));
                    assert_eq!(take_nmi(self.0), Outcome::Deferred);
                    become_cpu(Some(0));
                }
                Claim::None
            }
        }
        let other = Leaked::new(Interferes(nmi, Counter::new(0)));
        let spec = HandlerSpec::new(
            "other",
            Class::Platform,
            Doorbell::Platform(2),
            EdgeModel::PerCondition,
        );
        let kept = nmi.register(&spec, other.0).unwrap();
        take_nmi(nmi);
        assert_eq!(other.0.1.load(Ordering::Relaxed), 2);
        kept.remove().unwrap();
    }
}

#[test]
fn a_poll_outside_an_nmi_holds_off_parking_and_removals() {
    struct Interrupts(&'static crate::Nmi<super::world::TestPlatform>);
    // SAFETY: as above.
    unsafe impl NmiHandler for Interrupts {
        fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
            assert!(ctx.is_outside_nmi() && !self.0.in_nmi());
            self.0.send(0, Request::Stop).unwrap();
            take_nmi(self.0);
            assert!(self.0.platform.left.lock().unwrap().is_empty(), "inside the read side");
            Claim::None
        }
    }
    let world = World::new();
    let handler = Leaked::new(Interrupts(world.nmi));
    let kept = world.nmi.register(&platform(), handler.0).unwrap();
    world.wait_us(1_100);
    world.nmi.tick();
    let rung = world.nmi.platform.rung[0].load(Ordering::Relaxed);
    assert_eq!(rung, 2, "the stop, and the NMI in which the CPU parks");
    kept.remove().unwrap();
    take_nmi(world.nmi);
    assert!(world.nmi.platform.left.lock().unwrap()[0].1.stop());
}

#[test]
fn a_handler_that_wants_more_is_asked_again_in_an_nmi_of_its_own() {
    struct Twice(Counter);
    // SAFETY: as above.
    unsafe impl NmiHandler for Twice {
        fn handle(&self, _: &NmiContext<'_>) -> Claim {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => Claim::More,
                1 => Claim::Handled,
                _ => Claim::None,
            }
        }
    }
    let world = World::new();
    let nmi = world.nmi;
    let handler = Leaked::new(Twice(Counter::new(0)));
    let kept = nmi.register(&local(), handler.0).unwrap();
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    assert_eq!(nmi.platform.rung[0].load(Ordering::Relaxed), 0, "not on top of this NMI");
    take_work_interrupt(nmi);
    assert_eq!(nmi.platform.rung[0].load(Ordering::Relaxed), 1);
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    assert_eq!(handler.0.0.load(Ordering::Relaxed), 2);
    kept.remove().unwrap();
}

#[test]
fn a_storm_is_reported_to_the_doorbells_owner_and_so_is_its_end() {
    let world = World::new();
    let source = Leaked::new(Source::new());
    let kept = world.nmi.register(&local().storm_above(20), source.0).unwrap();
    for _ in 0..40 {
        source.0.raise();
        take_nmi(world.nmi);
    }
    world.nmi.tick();
    world.wait_us(2_000);
    world.nmi.tick();
    world.nmi.tick();
    let storms = world.nmi.platform.storms.lock().unwrap();
    let told: Vec<_> = storms.iter().map(|(began, storm)| (*began, storm.source)).collect();
    let of_it = StormSource::Handler(kept.id());
    assert_eq!(told, [(true, of_it), (false, of_it)]);
    assert_eq!((storms[0].1.count, storms[0].1.within_ms), (21, 1));
}
