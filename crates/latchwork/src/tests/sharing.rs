// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two subsystems, and what safe code may hand to both: per-CPU areas, handles, pinned handlers,
//! items of deferred work.

use core::pin::pin;
use std::{string::ToString, vec::Vec};

use super::{
    item::Item,
    world::{
        TestPlatform, Victim, World, become_cpu, spec, take_all_work_interrupts, take_nmi,
        take_work_interrupt,
    },
};
use crate::{
    Claim, Class, Doorbell, EdgeModel, HandleError, HandlerSpec, InitError, Nmi, PerCpu,
    PinnedHandler, PlatformDelivery, QueueError, RegisterError, SpecError, StatsError, SyncError,
    Urgency,
};

static IDLE: Victim = Victim::new(Claim::None);

fn areas(count: usize) -> &'static [PerCpu] {
    Vec::leak((0..count).map(|_| PerCpu::new()).collect())
}

/// Subsystems without areas.
fn subsystems<const N: usize>() -> ([World; N], [&'static Nmi<TestPlatform>; N]) {
    let worlds = core::array::from_fn(|_| World::before_init());
    let nmis = worlds.each_ref().map(|world: &World| world.nmi);
    (worlds, nmis)
}

#[test]
fn an_area_belongs_to_one_subsystem() {
    let (_worlds, [first, second]) = subsystems();
    let areas = areas(4);
    assert_eq!(first.init(&areas[1..3]), Ok(()));
    let taken = |index| Err(InitError::AreaTaken { index });
    assert_eq!(second.init(areas), taken(1));
    assert_eq!(second.init(&areas[1..3]), taken(0));
    assert_eq!(second.init(&areas[2..]), taken(0));
    assert_eq!(second.init(&areas[..2]), taken(1));
    assert!(second.init(areas).unwrap_err().to_string().contains("index 1"));
    assert_eq!(second.init(&areas[3..]), Ok(()));
}

#[test]
fn a_refused_init_claims_nothing_and_changes_nothing() {
    let (_worlds, [first, second, third]) = subsystems();
    let areas = areas(4);
    first.init(&areas[3..]).unwrap();
    assert_eq!(second.init(areas), Err(InitError::AreaTaken { index: 3 }));
    assert_eq!(second.cpu_stats(0), None);
    assert_eq!(first.init(&areas[..2]), Err(InitError::AlreadyInitialised));
    assert_eq!(first.core.cpus().len(), 1);
    assert_eq!(third.init(&areas[..2]), Ok(()), "neither refusal has kept them");
    assert_eq!(second.init(&areas[2..3]), Ok(()), "nor is the refused one spoilt");
    assert_eq!(second.core.cpus().len(), 1);
}

#[test]
fn a_handle_is_stale_to_every_other_subsystem() {
    let (first, second) = (World::new(), World::new());
    let theirs = second.nmi.register(&spec("theirs", Class::Platform), &IDLE).unwrap();
    let theirs = theirs.into_handle();
    let mine = first.nmi.register(&spec("mine", Class::Platform), &IDLE).unwrap().into_handle();
    assert_eq!((mine.class, mine.slot, mine.generation), (theirs.class, theirs.slot, 0));
    assert_ne!(mine, theirs);
    assert_eq!(first.nmi.reclaim(theirs).unwrap_err(), HandleError::Stale);
    assert_eq!(first.nmi.handler_stats(theirs, 0), Err(StatsError::Stale));
    let route = PlatformDelivery::Bsp;
    assert_eq!(first.nmi.set_delivery(theirs, route), Err(SpecError::Stale));
    let edges = EdgeModel::PerCondition;
    assert_eq!(first.nmi.set_edge_model(theirs, edges), Err(SpecError::Stale));
    first.nmi.reclaim(mine).unwrap().remove().unwrap();
    second.nmi.reclaim(theirs).unwrap().remove().unwrap();
}

#[test]
fn a_pinned_handler_is_registered_with_one_subsystem_at_a_time() {
    let (first, second) = (World::new(), World::new());
    let node = pin!(PinnedHandler::new(Victim::new(Claim::Handled)));
    let node = node.as_ref();
    let guard = node.register(first.nmi, &spec("node", Class::Local)).unwrap();
    let again = node.register(second.nmi, &spec("node", Class::Local)).unwrap_err();
    assert_eq!(again, RegisterError::AlreadyRegistered);
    drop(guard);
    let guard = node.register(second.nmi, &spec("node", Class::Local)).unwrap();
    take_nmi(first.nmi);
    take_nmi(second.nmi);
    assert_eq!(node.get().calls(), 1);
    drop(guard);
}

/// What would happen otherwise: the first subsystem runs the item, and puts it on a list that it
/// does not have.
#[test]
fn an_item_belongs_to_the_subsystem_that_queued_it_first() {
    let (first, second) = (World::with_cpus(1), World::new());
    let other = second.nmi;
    let item = Item::doing(move |work, _| {
        assert_eq!(other.queue_on(1, work, Urgency::Now), Err(QueueError::OtherSubsystem));
    });
    become_cpu(Some(0));
    assert_eq!(first.nmi.queue(item.work.0, Urgency::Now), Ok(true));
    assert_eq!(other.queue(item.work.0, Urgency::Now), Err(QueueError::OtherSubsystem));
    assert_eq!(take_work_interrupt(first.nmi), 1);
    assert!(item.work.0.is_idle());
    assert_eq!(other.queue(item.work.0, Urgency::Lazy), Err(QueueError::OtherSubsystem));
    take_all_work_interrupts(other);
    become_cpu(Some(0));
    assert_eq!(first.nmi.queue(item.work.0, Urgency::Now), Ok(true));
    assert_eq!(take_work_interrupt(first.nmi), 1);
    assert_eq!(item.ran_on(), [0, 0]);
}

#[test]
fn a_refused_queueing_does_not_decide_whose_an_item_is() {
    let (_worlds, [early]) = subsystems();
    let (first, second) = (World::new(), World::new());
    let item = Item::new();
    become_cpu(Some(1));
    first.nmi.go_offline().unwrap();
    become_cpu(Some(0));
    let refused = |nmi: &'static Nmi<_>, cpu| nmi.queue_on(cpu, item.work.0, Urgency::Now);
    assert_eq!(refused(early, 0), Err(QueueError::NotInitialised));
    assert_eq!(refused(first.nmi, 1), Err(QueueError::Offline { cpu: 1 }));
    assert_eq!(refused(first.nmi, 9), Err(QueueError::NoSuchCpu { cpu: Some(9) }));
    assert_eq!(second.nmi.queue(item.work.0, Urgency::Now), Ok(true));
    assert_eq!(take_work_interrupt(second.nmi), 1);
}

/// It would wait for itself, and the other subsystem cannot know.
#[test]
fn only_its_own_subsystem_waits_for_an_item() {
    let (first, second) = (World::new(), World::new());
    let (nmi, other) = (first.nmi, second.nmi);
    let item = Item::doing(move |work, _| {
        assert_eq!(other.sync_work(work), Err(SyncError::OtherSubsystem));
    });
    assert_eq!(other.sync_work(item.work.0), Ok(()), "nobody has queued it");
    nmi.queue(item.work.0, Urgency::Now).unwrap();
    assert_eq!(take_work_interrupt(nmi), 1);
    assert_eq!(other.sync_work(item.work.0), Err(SyncError::OtherSubsystem));
    assert_eq!(nmi.sync_work(item.work.0), Ok(()));
    assert_eq!(item.runs(), 1);
}

const LATE: EdgeModel = EdgeModel::PerEvent { late_us: 20, max_late_edges: 1 };

/// The next registration is of another class than the dead one.
#[test]
fn a_dead_handler_does_not_keep_its_doorbells_edge_model() {
    let world = World::new();
    let nmi = world.nmi;
    let old = HandlerSpec::new("old", Class::Local, Doorbell::Local(4), EdgeModel::PerCondition);
    let new = HandlerSpec::new("new", Class::Platform, Doorbell::Local(4), LATE);
    let _ = nmi.register(&old, &IDLE).unwrap().try_remove();
    nmi.register(&new, &IDLE).unwrap().remove().unwrap();
}

/// As long as a dispatch may still claim by the old model, the conflict says that trying again
/// helps.
#[test]
fn a_dead_handler_that_may_still_run_keeps_it_and_says_that_it_is_on_its_way_out() {
    let world = World::new();
    let nmi = world.nmi;
    let old = HandlerSpec::new("old", Class::Local, Doorbell::Local(4), EdgeModel::PerCondition);
    let new = HandlerSpec::new("new", Class::Platform, Doorbell::Local(4), LATE);
    let registration = nmi.register(&old, &IDLE).unwrap();
    let conflict = |expected: bool| {
        let refused = nmi.register(&new, &IDLE).unwrap_err();
        let RegisterError::EdgeModelConflict { with, draining, .. } = refused else {
            panic!("{refused}");
        };
        assert_eq!((with.as_str(), draining), ("old", expected));
        assert_eq!(refused.to_string().contains("try again"), expected);
    };
    conflict(false);
    nmi.core.cpus()[1].own.read.enter();
    let _ = registration.try_remove();
    conflict(true);
    nmi.core.cpus()[1].own.read.leave();
    nmi.register(&new, &IDLE).unwrap().remove().unwrap();
}
