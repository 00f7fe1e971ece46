// SPDX-License-Identifier: MIT OR Apache-2.0
//! What registration, removal and handles promise.

use std::{format, string::ToString, thread, vec::Vec};

use super::world::{CPUS, Leaked, Victim, World, become_cpu, spec, take_nmi};
use crate::{
    Claim, Class, Doorbell, EdgeModel, HANDLERS_PER_CLASS, HandleError, HandlerSpec, InitError,
    MAX_CPUS, Name, PerCpu, RegisterError, RemoveFailure, StatsError, Ticket, primitive::Ordering,
};

static IDLE: Victim = Victim::new(Claim::None);

#[test]
fn init_is_refused_with_a_reason() {
    let world = World::before_init();
    assert_eq!(world.nmi.init(&[]), Err(InitError::NoCpus));
    let too_many: &'static [PerCpu] = Vec::leak((0..MAX_CPUS + 1).map(|_| PerCpu::new()).collect());
    assert_eq!(world.nmi.init(too_many), Err(InitError::TooManyCpus { given: MAX_CPUS + 1 }));
    let early = world.nmi.register(&spec("early", Class::Local), &IDLE);
    assert_eq!(early.unwrap_err(), RegisterError::NotInitialised);
    assert_eq!(world.nmi.init(&too_many[..MAX_CPUS]), Ok(()));
    assert_eq!(world.nmi.init(too_many), Err(InitError::TooManyCpus { given: MAX_CPUS + 1 }));
    assert_eq!(world.nmi.init(&too_many[..1]), Err(InitError::AlreadyInitialised));
}

#[test]
fn a_bad_name_is_refused() {
    let world = World::new();
    for name in ["", &"x".repeat(Name::MAX_BYTES + 1)] {
        let refused = world.nmi.register(&spec(name, Class::Local), &IDLE).unwrap_err();
        assert_eq!(refused, RegisterError::BadName { len_bytes: name.len() });
    }
}

#[test]
fn a_full_class_says_so_and_others_have_room() {
    let world = World::new();
    let nmi = world.nmi;
    let mut kept: Vec<_> = (0..HANDLERS_PER_CLASS)
        .map(|n| nmi.register(&spec(&format!("handler {n}"), Class::Local), &IDLE).unwrap())
        .collect();
    let full = |draining| RegisterError::ClassFull { class: Class::Local, draining };
    let one_more = || nmi.register(&spec("one more", Class::Local), &IDLE);
    assert_eq!(one_more().unwrap_err(), full(0));
    nmi.register(&spec("elsewhere", Class::Platform), &IDLE).unwrap().remove().unwrap();

    nmi.core.cpus()[1].own.read.enter();
    let mut ticket = kept.pop().unwrap().try_remove();
    assert_eq!(ticket.check(), Err(1));
    assert_eq!(one_more().unwrap_err(), full(1));
    nmi.core.cpus()[1].own.read.leave();
    assert!(ticket.is_over());
    kept.push(one_more().unwrap());
}

#[test]
fn handlers_behind_one_doorbell_agree_on_its_edge_model() {
    let world = World::new();
    let late = EdgeModel::PerEvent { late_us: 20, max_late_edges: 1 };
    let pmu = HandlerSpec::new("pmu", Class::Local, Doorbell::Local(4), EdgeModel::PerCondition);
    let ibs = HandlerSpec::new("ibs", Class::Local, Doorbell::Local(4), late);
    let msi = HandlerSpec::new("msi", Class::Platform, Doorbell::Platform(4), late);
    let kept = world.nmi.register(&pmu, &IDLE).unwrap();
    let refused = world.nmi.register(&ibs, &IDLE).unwrap_err();
    assert!(refused.to_string().contains("\"pmu\""), "{refused}");
    let other = world.nmi.register(&msi, &IDLE).unwrap();
    kept.remove().unwrap();
    let ibs = world.nmi.register(&ibs, &IDLE).unwrap();
    drop((other, ibs));
}

#[test]
fn one_handler_may_be_registered_twice_and_each_registration_is_its_own() {
    let world = World::new();
    let victim = Leaked::new(Victim::new(Claim::None));
    let first = world.nmi.register(&spec("twice", Class::Local), victim.0).unwrap();
    let second = world.nmi.register(&spec("twice", Class::Local), victim.0).unwrap();
    assert_ne!(first.id(), second.id());
    take_nmi(world.nmi);
    assert_eq!(victim.0.calls(), 2);
    first.remove().unwrap();
    take_nmi(world.nmi);
    assert_eq!(victim.0.calls(), 3);
    second.remove().unwrap();
}

/// The slot is the same, the handler is not.
#[test]
fn a_stale_handle_is_an_error_and_touches_nobody() {
    let world = World::new();
    let nmi = world.nmi;
    let stale = nmi.register(&spec("old", Class::Local), &IDLE).unwrap().into_handle();
    assert_eq!(nmi.handler_stats(stale, 0).unwrap().calls, 0);
    nmi.reclaim(stale).unwrap().remove().unwrap();

    let next = Leaked::new(Victim::new(Claim::Handled));
    let handle = nmi.register(&spec("new", Class::Local), next.0).unwrap().into_handle();
    assert_eq!((handle.class, handle.slot), (stale.class, stale.slot));
    assert_eq!(nmi.reclaim(stale).unwrap_err(), HandleError::Stale);
    assert_eq!(nmi.handler_stats(stale, 0), Err(StatsError::Stale));
    take_nmi(nmi);
    assert_eq!(next.0.calls(), 1);
    nmi.reclaim(handle).unwrap().remove().unwrap();
    assert_eq!(nmi.reclaim(handle).unwrap_err(), HandleError::Stale);
}

#[test]
fn a_handle_gives_one_guard_at_a_time() {
    let world = World::new();
    let registration = world.nmi.register(&spec("guarded", Class::Local), &IDLE).unwrap();
    let id = registration.id();
    assert_eq!(world.nmi.reclaim(id).unwrap_err(), HandleError::Guarded);
    let handle = registration.into_handle();
    let guard = world.nmi.reclaim(handle).unwrap();
    assert_eq!(world.nmi.reclaim(handle).unwrap_err(), HandleError::Guarded);
    let _ = guard.try_remove();
    assert_eq!(world.nmi.reclaim(handle).unwrap_err(), HandleError::Stale);
    assert!(matches!(world.nmi.handler_stats(id, CPUS), Err(StatsError::NoSuchCpu { cpu: CPUS })));
}

#[test]
fn a_deadline_names_handler_and_cpu_and_gives_the_registration_back_whole() {
    let world = World::new();
    let nmi = world.nmi;
    let victim = Leaked::new(Victim::new(Claim::Handled));
    let first = nmi.register(&spec("first", Class::Local).priority(1), &IDLE).unwrap();
    let registration = nmi.register(&spec("stuck", Class::Local), victim.0).unwrap();
    let order = nmi.core.registry.order(Class::Local);
    nmi.core.cpus()[1].own.read.enter();
    let error = registration.remove_within_ms(5).unwrap_err();
    let RemoveFailure::StillRunning { handler, cpu, waited_ms } = error.failure else {
        panic!("{error}");
    };
    assert_eq!((handler.as_str(), cpu, waited_ms), ("stuck", 1, 5));
    assert!(nmi.platform.ticks.load(Ordering::Relaxed) >= 50, "it waited");
    assert_eq!(
        error.to_string(),
        "handler \"stuck\" was not removed: CPU 1 did not leave dispatch within 5 ms"
    );
    nmi.core.cpus()[1].own.read.leave();
    assert_eq!(nmi.core.registry.order(Class::Local), order);
    take_nmi(nmi);
    assert_eq!(victim.0.calls(), 1);
    error.registration.remove_within_ms(5).unwrap();
    victim.0.poison();
    take_nmi(nmi);
    first.remove().unwrap();
}

/// A CPU that takes one NMI after the other does not hold a removal up for ever.
#[test]
fn a_removal_waits_for_a_dispatch_not_for_its_successors() {
    let world = World::new();
    let nmi = world.nmi;
    let registration = nmi.register(&spec("victim", Class::Local), &IDLE).unwrap();
    let word = &nmi.core.cpus()[1].own.read;
    word.enter();
    let mut ticket = registration.try_remove();
    assert_eq!(ticket.check(), Err(1));
    assert_eq!(ticket.check(), Err(1));
    word.leave();
    word.enter();
    assert_eq!(ticket.check(), Ok(()), "another generation cannot have found the handler");
    word.leave();
}

/// A wait remembers the CPU that it stands at, and no mask of them.
#[test]
fn a_ticket_is_as_small_for_4096_cpus_as_for_one() {
    assert!(size_of::<Ticket>() <= 4 * size_of::<usize>(), "{} bytes", size_of::<Ticket>());
}

#[test]
fn a_guard_that_is_dropped_removes_and_one_that_is_leaked_does_not() {
    let world = World::new();
    let victim = Leaked::new(Victim::new(Claim::None));
    let kept = Victim::new(Claim::None);
    let kept = Leaked::new(kept);
    drop(world.nmi.register(&spec("dropped", Class::Local), victim.0).unwrap());
    core::mem::forget(world.nmi.register(&spec("leaked", Class::Local), kept.0).unwrap());
    victim.0.poison();
    take_nmi(world.nmi);
    assert_eq!((victim.0.calls(), kept.0.calls()), (0, 1));
}

/// Real threads, for as long as it takes to meet many overlaps.
#[test]
fn handlers_come_and_go_under_a_storm() {
    const CYCLES: usize = 1_000;
    let world = World::new();
    let nmi = world.nmi;
    let stop = core::sync::atomic::AtomicBool::new(false);
    let nmis = core::sync::atomic::AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            become_cpu(Some(1));
            while !stop.load(Ordering::Relaxed) {
                take_nmi(nmi);
                nmis.fetch_add(1, Ordering::Relaxed);
            }
        });
        let (mut calls, mut cycles) = (0, 0);
        while calls == 0 || cycles < CYCLES || nmis.load(Ordering::Relaxed) < CYCLES {
            cycles += 1;
            let victim = Leaked::new(Victim::new(Claim::Handled));
            let registration = nmi.register(&spec("victim", Class::Local), victim.0).unwrap();
            thread::yield_now();
            registration.remove().unwrap();
            victim.0.poison();
            calls += victim.0.calls();
        }
        stop.store(true, Ordering::Relaxed);
    });
}
