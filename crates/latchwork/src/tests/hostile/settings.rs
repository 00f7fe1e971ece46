// SPDX-License-Identifier: MIT OR Apache-2.0
//! Settings and removals that come while a poll is owed, an edge is deferred or grants are live;
//! and the CPU on which that is so may go offline just then.

use super::{
    super::{
        scene::{Scene, scene},
        source::Source,
        world::{Leaked, Victim, become_cpu, take_nmi},
    },
    let_the_machine_run,
};
use crate::{
    Claim, Class, Doorbell, EdgeModel, HandlerSpec, Limits, Outcome, PlatformDelivery, Recovery,
    Registration, primitive::Ordering,
};

/// What is so on CPU 0.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pending {
    /// An external event collapsed into a Local one.
    OwedPoll,
    /// An edge came while CPU 1 was asking the Platform handlers.
    DeferredEdge,
    /// Two doorbells were claimed together, and the ring of one is still to come.
    LiveGrant,
}

const PENDING: [Pending; 3] = [Pending::OwedPoll, Pending::DeferredEdge, Pending::LiveGrant];

#[derive(Clone, Copy, Debug)]
enum Change {
    LongerLimits,
    ShorterLimits,
    Probes,
    Polls,
    RouteToAll,
    RouteToBsp,
    RouteTo(&'static [usize]),
    BootCpu(usize),
    LaterEdges,
    RemoveOther,
    TryRemoveOther,
}

const CHANGES: [Change; 13] = [
    Change::LongerLimits,
    Change::ShorterLimits,
    Change::Probes,
    Change::Polls,
    Change::RouteToAll,
    Change::RouteToBsp,
    Change::RouteTo(&[0]),
    Change::RouteTo(&[1]),
    Change::RouteTo(&[]),
    Change::BootCpu(1),
    Change::LaterEdges,
    Change::RemoveOther,
    Change::TryRemoveOther,
];

fn make_pending(scene: &Scene, pending: Pending) {
    let nmi = scene.world.nmi;
    match pending {
        Pending::OwedPoll => scene.collapse(),
        Pending::DeferredEdge => {
            let poll = nmi.core.recovery.polls.take(1).unwrap();
            assert_eq!(take_nmi(nmi), Outcome::Deferred);
            nmi.core.recovery.polls.end(poll);
        }
        Pending::LiveGrant => {
            scene.pmi.0.raise();
            crate::tests::world::begin_send(nmi);
            crate::tests::world::finish_send(nmi);
            assert_eq!(take_nmi(nmi), Outcome::Claimed);
        }
    }
}

/// Changes it, on CPU 0.
fn change(scene: &Scene, other: &mut Option<Registration>, change: Change) {
    let nmi = scene.world.nmi;
    let external = scene.kept[1].id();
    match change {
        Change::LongerLimits => nmi.set_limits(Limits::HYPERVISOR).unwrap(),
        Change::ShorterLimits => {
            let shorter = Limits { late_us: 100, cap_us: 1_000, hold_us: 500, ..Limits::default() };
            nmi.set_limits(shorter).unwrap();
        }
        Change::Probes => nmi.set_recovery(Recovery::ProbeNmi),
        Change::Polls => nmi.set_recovery(Recovery::Poll),
        Change::RouteToAll => nmi.set_delivery(external, PlatformDelivery::All).unwrap(),
        Change::RouteToBsp => nmi.set_delivery(external, PlatformDelivery::Bsp).unwrap(),
        Change::RouteTo(cpus) => nmi.set_delivery(external, PlatformDelivery::Cpus(cpus)).unwrap(),
        Change::BootCpu(cpu) => nmi.set_boot_cpu(cpu).unwrap(),
        Change::LaterEdges => {
            let edges = EdgeModel::PerEvent { late_us: 1_000, max_late_edges: 3 };
            nmi.set_edge_model(external, edges).unwrap();
        }
        Change::RemoveOther => other.take().unwrap().remove().unwrap(),
        Change::TryRemoveOther => drop(other.take().unwrap().try_remove()),
    }
}

/// Makes it pending, changes the setting, has CPU 0 go offline or not, and lets the machine run.
/// Judges that no event is lost, and hands the scene out.
fn play(pending: Pending, changed: Change, goes_offline: bool) -> Scene {
    let scene = scene();
    let nmi = scene.world.nmi;
    let victim = Leaked::new(Victim::new(Claim::None));
    let spec =
        HandlerSpec::new("other", Class::Platform, Doorbell::Platform(9), EdgeModel::PerCondition);
    let mut other = Some(nmi.register(&spec, victim.0).unwrap());
    scene.tick_after_us(1_100);
    make_pending(&scene, pending);
    change(&scene, &mut other, changed);
    let was_removed = other.is_none();
    let calls = victim.0.calls();
    let mut taken = [0; 2];
    if goes_offline {
        nmi.go_offline().unwrap();
        nmi.run_work();
    }
    let_the_machine_run(nmi, 6, 1_100, &mut taken);
    scene.external.0.raise();
    nmi.owe_poll();
    let_the_machine_run(nmi, 4, 1_100, &mut taken);
    assert!(!scene.external.0.is_raised(), "{pending:?}, {changed:?}, offline: {goes_offline}");
    let events = 1 + usize::from(pending == Pending::OwedPoll);
    assert_eq!(scene.external.0.claims(), events, "{pending:?}, {changed:?}");
    assert!(!was_removed || victim.0.calls() == calls, "{changed:?}");
    assert!(nmi.owed_poll().is_none() || !nmi.owed_poll().unwrap().edge_waits);
    become_cpu(Some(0));
    drop(other);
    scene
}

#[test]
fn no_setting_and_no_removal_loses_what_is_pending() {
    for pending in PENDING {
        for changed in CHANGES {
            let scene = play(pending, changed, false);
            let stats = scene.world.nmi.cpu_stats(0).unwrap();
            let settled = stats.absorbed + stats.unknown;
            assert_eq!(settled, stats.deferred, "{pending:?}, {changed:?}: each edge is settled");
        }
    }
}

/// What was deferred or granted on a CPU that goes offline counts no more; what is owed does.
#[test]
fn no_setting_and_no_removal_loses_what_is_owed_though_the_cpu_goes_offline() {
    for pending in PENDING {
        for changed in CHANGES {
            let scene = play(pending, changed, true);
            let nmi = scene.world.nmi;
            nmi.come_online().unwrap();
            let granted = nmi.granted(0).unwrap();
            assert_eq!(granted.edges, [0; 4], "{pending:?}, {changed:?}");
            assert!(!nmi.core.cpus()[0].deferred.has_waiting());
        }
    }
}

/// An edge that waits is judged before its CPU leaves, and not in the CPU's next life.
#[test]
fn a_cpu_that_goes_offline_judges_what_it_had_deferred() {
    let scene = scene();
    let nmi = scene.world.nmi;
    make_pending(&scene, Pending::DeferredEdge);
    let stats = || {
        let stats = nmi.cpu_stats(0).unwrap();
        (stats.deferred, stats.absorbed, stats.unknown)
    };
    nmi.go_offline().unwrap();
    assert_eq!(stats(), (1, 0, 1));
    nmi.come_online().unwrap();
    (0..3).for_each(|_| scene.tick_after_us(1_100));
    assert_eq!(stats(), (1, 0, 1));
}

/// A grant outlives each change that does not say that its ring goes elsewhere or its time is over.
#[test]
fn what_is_granted_is_there_after_a_change() {
    for changed in CHANGES {
        let scene = scene();
        let victim = Leaked::new(Victim::new(Claim::None));
        let spec = HandlerSpec::new(
            "other",
            Class::Platform,
            Doorbell::Platform(9),
            EdgeModel::PerCondition,
        );
        let mut other = Some(scene.world.nmi.register(&spec, victim.0).unwrap());
        scene.tick_after_us(1_100);
        make_pending(&scene, Pending::LiveGrant);
        change(&scene, &mut other, changed);
        assert_eq!(take_nmi(scene.world.nmi), Outcome::Absorbed, "{changed:?}");
        assert_eq!(take_nmi(scene.world.nmi), Outcome::Unknown, "{changed:?}");
        drop(other);
    }
}

/// The handler whose claim granted it is gone, and its ring comes all the same.
#[test]
fn what_a_handler_granted_outlives_it() {
    let mut scene = scene();
    let nmi = scene.world.nmi;
    make_pending(&scene, Pending::LiveGrant);
    scene.kept.remove(0).remove().unwrap();
    assert_eq!(take_nmi(nmi), Outcome::Absorbed);
    scene.external.0.raise();
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    scene.kept.remove(0).remove().unwrap();
    become_cpu(Some(1));
    assert_eq!(take_nmi(nmi), Outcome::Absorbed, "its ring was on its way here");
    assert_eq!(take_nmi(nmi), Outcome::Unknown);
}

/// The debt of a handler that is gone is paid by a poll that asks nobody.
#[test]
fn a_debt_outlives_the_last_handler_and_is_paid() {
    let mut scene = scene();
    scene.collapse();
    scene.kept.remove(1).remove().unwrap();
    scene.tick_after_us(1_100);
    assert!(scene.world.nmi.owed_poll().is_none());
    let late = Leaked::new(Source::new());
    late.0.raise();
    let spec =
        HandlerSpec::new("late", Class::Platform, Doorbell::Platform(2), EdgeModel::PerCondition);
    let kept = scene.world.nmi.register(&spec, late.0).unwrap();
    scene.tick_after_us(1_100);
    assert_eq!(late.0.claims(), 1, "and the next one's is its own");
    kept.remove().unwrap();
}

/// A probe that was rung is taken under the other setting, and the other way round.
#[test]
fn a_recovery_that_changes_under_way_finds_the_event() {
    for (first, then) in
        [(Recovery::ProbeNmi, Recovery::Poll), (Recovery::Poll, Recovery::ProbeNmi)]
    {
        let scene = scene();
        let nmi = scene.world.nmi;
        nmi.set_recovery(first);
        scene.collapse();
        scene.tick_after_us(1_100);
        nmi.set_recovery(then);
        if nmi.platform.rung[0].load(Ordering::Relaxed) == 1 {
            assert_eq!(take_nmi(nmi), Outcome::Claimed);
        }
        scene.tick_after_us(1_100);
        assert!(!scene.external.0.is_raised(), "{first:?}, then {then:?}");
        assert_eq!(scene.external.0.claims(), 1);
    }
}
