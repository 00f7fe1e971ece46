// SPDX-License-Identifier: MIT OR Apache-2.0
//! What CPUs that go and come back are promised.

use std::string::ToString;

use super::{
    item::Item,
    world::{
        CPUS, Leaked, Stops, TestPlatform, Victim, World, become_cpu, served, spec,
        take_all_work_interrupts, take_nmi, take_nmi_and_stop,
    },
};
use crate::{
    AfterLeave, Claim, Class, InDispatch, Nmi, Outcome, PresenceError, RemoveFailure, Request,
    RingError, SendError, UnknownPolicy, Urgency, primitive::Ordering,
};

#[test]
fn nmis_of_an_offline_cpu_return_at_once_and_are_counted() {
    let world = World::new();
    let nmi = world.nmi;
    nmi.set_unknown_policy(UnknownPolicy::Panic);
    let handlers = Class::ALL.map(|class| (class, Leaked::new(Victim::new(Claim::None))));
    let kept =
        handlers.each_ref().map(|(class, it)| nmi.register(&spec("it", *class), it.0).unwrap());
    let ticks = nmi.platform.ticks.load(Ordering::Relaxed);
    nmi.go_offline().unwrap();
    assert_eq!(nmi.is_online(0), Some(false));
    for _ in 0..3 {
        assert_eq!(take_nmi(nmi), Outcome::Offline);
        assert!(!nmi.in_nmi());
    }
    assert!(handlers.iter().all(|(_, it)| it.0.calls() == 0));
    let stats = nmi.cpu_stats(0).unwrap();
    assert_eq!((stats.offline, stats.edges, stats.unknown), (3, 0, 0));
    assert!(nmi.platform.unknowns.lock().unwrap().is_empty());
    assert!(nmi.platform.left.lock().unwrap().is_empty());
    assert_eq!(nmi.platform.ticks.load(Ordering::Relaxed), ticks, "the clock was not even read");
    nmi.come_online().unwrap();
    nmi.set_unknown_policy(UnknownPolicy::Report);
    assert_eq!(take_nmi(nmi), Outcome::Unknown);
    assert!(handlers.iter().all(|(_, it)| it.0.calls() == 1));
    drop(kept);
}

#[test]
fn every_cpu_may_come_and_go_twice() {
    let world = World::new();
    let nmi = world.nmi;
    assert_eq!(
        (nmi.is_online(0), nmi.is_online(1), nmi.is_online(CPUS)),
        (Some(true), Some(true), None)
    );
    nmi.come_online().unwrap();
    assert_eq!(take_nmi(nmi), Outcome::Unknown);
    nmi.go_offline().unwrap();
    nmi.go_offline().unwrap();
    assert_eq!(nmi.is_online(1), Some(true));
    nmi.come_online().unwrap();
    nmi.come_online().unwrap();
    assert_eq!(take_nmi(nmi), Outcome::Unknown);
}

#[test]
fn an_offline_cpu_is_sent_nothing() {
    let world = World::new();
    let nmi = world.nmi;
    become_cpu(Some(1));
    nmi.go_offline().unwrap();
    for sender in 0..CPUS {
        become_cpu(Some(sender));
        assert_eq!(nmi.send(1, Request::Call), Err(SendError::Offline { cpu: 1 }));
    }
    assert_eq!(nmi.platform.rung[1].load(Ordering::Relaxed), 0);
    assert_eq!(nmi.unfinished_sends(1), Some(0));
    nmi.come_online().unwrap();
    nmi.send(1, Request::Call).unwrap();
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    assert_eq!(served(nmi, Request::Call), 1);
}

/// A request sent just before neither waits until the CPU is back nor is forgotten in the account.
#[test]
fn requests_that_an_offline_cpu_takes_are_dropped_and_counted() {
    let world = World::new();
    let nmi = world.nmi;
    nmi.send(0, Request::Stop).unwrap();
    nmi.send(0, Request::Call).unwrap();
    nmi.go_offline().unwrap();
    assert_eq!(take_nmi(nmi), Outcome::Offline);
    assert_eq!(nmi.unfinished_sends(0), Some(0));
    nmi.come_online().unwrap();
    assert_eq!(take_nmi(nmi), Outcome::Unknown, "nothing is left");
    let stats = nmi.cpu_stats(0).unwrap();
    assert_eq!((stats.requests, stats.requests_dropped), (0, 2));
    assert_eq!(served(nmi, Request::Call), 0);
    assert!(nmi.platform.left.lock().unwrap().is_empty(), "it does not park");
}

/// A reset can lose the NMI of a request.
#[test]
fn requests_whose_nmi_never_came_are_dropped_when_the_cpu_is_back() {
    let world = World::new();
    let nmi = world.nmi;
    nmi.send(0, Request::Stop).unwrap();
    nmi.go_offline().unwrap();
    nmi.come_online().unwrap();
    assert_eq!(nmi.cpu_stats(0).unwrap().requests_dropped, 1);
    assert_eq!(nmi.unfinished_sends(0), Some(0));
    assert_eq!(take_nmi(nmi), Outcome::Unknown);
    assert!(nmi.platform.left.lock().unwrap().is_empty(), "it does not park");
}

#[test]
fn a_cpu_without_number_or_area_can_neither_go_nor_come() {
    let world = World::before_init();
    let nmi = world.nmi;
    let nobody = |cpu| Err(PresenceError::NoSuchCpu { cpu });
    assert_eq!((nmi.go_offline(), nmi.come_online()), (nobody(Some(0)), nobody(Some(0))));
    let world = World::new();
    let nmi = world.nmi;
    for cpu in [None, Some(CPUS)] {
        become_cpu(cpu);
        assert_eq!((nmi.go_offline(), nmi.come_online()), (nobody(cpu), nobody(cpu)));
    }
    // SAFETY: there is no such CPU, so it executes nothing.
    assert_eq!(unsafe { nmi.mark_offline(CPUS) }, nobody(Some(CPUS)));
}

/// A parked CPU is in its NMI: it can neither go nor come.
#[test]
fn a_cpu_in_an_nmi_can_neither_go_nor_come() {
    let world = World::new();
    let nmi = world.nmi;
    *nmi.platform.on_leave.lock().unwrap() = Some(std::sync::Arc::new(move |_| {
        let refused = Err(PresenceError::InDispatch(InDispatch { cpu: 0 }));
        assert_eq!((nmi.go_offline(), nmi.come_online()), (refused, refused));
    }));
    nmi.send(0, Request::Stop).unwrap();
    take_nmi(nmi);
    assert_eq!(nmi.platform.left.lock().unwrap().len(), 1);
    assert_eq!(nmi.is_online(0), Some(true));
    *nmi.platform.on_leave.lock().unwrap() = None;
}

#[test]
fn a_removal_does_not_wait_for_a_cpu_that_was_stopped_in_the_handler_and_marked() {
    let world = World::new();
    let nmi = world.nmi;
    let stops = Leaked::new(Stops::new());
    let registration = nmi.register(&spec("stops", Class::Local), stops.0).unwrap();
    become_cpu(Some(1));
    take_nmi_and_stop(nmi);
    become_cpu(Some(0));
    let error = registration.remove_within_ms(5).unwrap_err();
    assert!(matches!(error.failure, RemoveFailure::StillRunning { cpu: 1, .. }), "{error}");
    // SAFETY: CPU 1 was stopped by this thread.
    unsafe { nmi.mark_offline(1) }.unwrap();
    if let Err(error) = error.registration.remove_within_ms(5) {
        let failure = error.failure;
        // Dropping it would wait without bound.
        core::mem::forget(error);
        panic!("{failure}");
    }
    stops.0.poison();
}

/// A removal that already looked at the stopped CPU takes its next dispatch for a new one.
#[test]
fn a_marked_cpu_does_not_come_back_as_the_dispatch_that_it_was_stopped_in() {
    let world = World::new();
    let nmi = world.nmi;
    let stops = Leaked::new(Stops::new());
    let registration = nmi.register(&spec("stops", Class::Local), stops.0).unwrap();
    become_cpu(Some(1));
    take_nmi_and_stop(nmi);
    become_cpu(Some(0));
    let mut ticket = registration.try_remove();
    assert_eq!(ticket.check(), Err(1));
    // SAFETY: CPU 1 was stopped by this thread.
    unsafe { nmi.mark_offline(1) }.unwrap();
    become_cpu(Some(1));
    nmi.come_online().unwrap();
    nmi.core.cpus()[1].own.read.enter();
    assert!(ticket.is_over());
    nmi.core.cpus()[1].own.read.leave();
    stops.0.poison();
}

#[test]
fn a_cpu_that_was_stopped_in_an_nmi_comes_back_outside_it() {
    let world = World::new();
    let nmi = world.nmi;
    let stops = Leaked::new(Stops::new());
    let registration = nmi.register(&spec("stops", Class::Local), stops.0).unwrap();
    nmi.send(0, Request::Stop).unwrap();
    take_nmi_and_stop(nmi);
    assert!(nmi.in_nmi());
    let refused = nmi.come_online().unwrap_err();
    assert_eq!(refused, PresenceError::InDispatch(InDispatch { cpu: 0 }));
    assert!(refused.to_string().contains("mark_offline"), "{refused}");
    // SAFETY: this thread plays the other CPU now, and CPU 0 was stopped.
    unsafe { nmi.mark_offline(0) }.unwrap();
    assert_eq!(take_nmi(nmi), Outcome::Offline, "not back yet");
    nmi.come_online().unwrap();
    assert!(!nmi.in_nmi());
    registration.remove().unwrap();
    stops.0.poison();
    assert_eq!(take_nmi(nmi), Outcome::Unknown);
    let stats = nmi.cpu_stats(0).unwrap();
    assert_eq!((stats.nested, stats.offline), (0, 1));
    assert!(nmi.platform.left.lock().unwrap().is_empty(), "the old stop does not park it");
}

#[test]
fn the_platform_handlers_are_asked_again_after_a_cpu_was_stopped_in_one() {
    let world = World::new();
    let nmi = world.nmi;
    let stops = Leaked::new(Stops::new());
    let witness = Leaked::new(Victim::new(Claim::None));
    let registration = nmi.register(&spec("stops", Class::Platform), stops.0).unwrap();
    let _kept = nmi.register(&spec("witness", Class::Platform), witness.0).unwrap();
    become_cpu(Some(1));
    take_nmi_and_stop(nmi);
    become_cpu(Some(0));
    assert_eq!(take_nmi(nmi), Outcome::Deferred, "another CPU is at it");
    // SAFETY: CPU 1 was stopped by this thread.
    unsafe { nmi.mark_offline(1) }.unwrap();
    registration.remove().unwrap();
    stops.0.poison();
    assert_eq!(take_nmi(nmi), Outcome::Absorbed, "it may have claimed what two handlers had");
    assert_eq!(witness.0.calls(), 1, "no CPU is asking the handlers");
    assert_eq!(nmi.cpu_stats(0).unwrap().absorbed, 2, "and the edge that waited");
    assert_eq!(take_nmi(nmi), Outcome::Unknown);
}

/// A poll of another CPU is not ended by marking one that was elsewhere.
#[test]
fn marking_a_cpu_leaves_the_poll_of_another_alone() {
    let world = World::new();
    let nmi = world.nmi;
    let polls = &nmi.core.recovery.polls;
    let poll = polls.take(0).unwrap();
    // SAFETY: no thread is CPU 1.
    unsafe { nmi.mark_offline(1) }.unwrap();
    assert_eq!(polls.take(1), Err(poll));
    polls.end(poll);
    assert!(polls.take(1).is_ok());
}

/// Marking a CPU that was outside changes nothing but its presence.
#[test]
fn after_leave_of_a_parked_cpu_is_forgotten_with_it() {
    let world = World::new();
    let nmi = world.nmi;
    let area = &nmi.core.cpus()[1];
    area.own.post_after_leave(AfterLeave::STOP);
    area.own.set_nmis_in_progress(1);
    // SAFETY: no thread is CPU 1.
    unsafe { nmi.mark_offline(1) }.unwrap();
    become_cpu(Some(1));
    nmi.come_online().unwrap();
    assert_eq!(take_nmi(nmi), Outcome::Unknown);
    assert!(nmi.platform.left.lock().unwrap().is_empty());
}

/// The kernel calls nothing more: not `run_work` on the CPU that went or came, and no tick.
#[test]
fn what_an_offline_cpu_has_on_its_lists_runs_though_no_cpu_ticks() {
    for stays_alive in [true, false] {
        let item = Item::new();
        let world = World::new();
        let nmi = world.nmi;
        nmi.tick_stopped();
        become_cpu(Some(1));
        nmi.queue(item.work.0, Urgency::Lazy).unwrap();
        if stays_alive {
            nmi.go_offline().unwrap();
        } else {
            become_cpu(Some(0));
            // SAFETY: no thread is CPU 1.
            unsafe { nmi.mark_offline(1) }.unwrap();
        }
        take_all_work_interrupts(nmi);
        assert_eq!(item.ran_on(), [0]);
    }
}

/// Its request was posted, and no ring came, nor ever would.
#[test]
fn a_request_whose_sender_died_before_its_ring_is_rung_for() {
    let world = World::with_cpus(3);
    let nmi = world.nmi;
    nmi.core.cpus()[1].own.sending.begin();
    nmi.core.cpus()[2].senders.mailbox.post(Request::Call).unwrap();
    for _ in 0..2 {
        // SAFETY: no thread is CPU 1.
        unsafe { nmi.mark_offline(1) }.unwrap();
        let rung = [0, 1, 2].map(|cpu| nmi.platform.rung[cpu].load(Ordering::Relaxed));
        assert_eq!(rung, [0, 0, 1]);
    }
    become_cpu(Some(2));
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    assert_eq!((served(nmi, Request::Call), served(nmi, Request::Again)), (1, 1));
}

/// A CPU that was never started, in a world whose CPU 0 called `init`.
fn not_started() -> World {
    let world = World::before_init();
    world.nmi.init(world.cpus).unwrap();
    assert_eq!((world.nmi.is_online(0), world.nmi.is_online(1)), (Some(true), Some(false)));
    become_cpu(Some(1));
    world
}

/// So a kernel that forgets to call `come_online` there loses nothing.
#[test]
fn a_cpu_that_was_never_started_comes_online_where_it_shows_that_it_runs() {
    let ways: [fn(&'static Nmi<TestPlatform>); 6] = [
        |nmi| nmi.come_online().unwrap(),
        |nmi| nmi.entering_idle(),
        |nmi| nmi.tick_stopped(),
        |nmi| assert_eq!(nmi.run_work(), 0),
        |nmi| assert_eq!(nmi.tick(), 0),
        |nmi| assert_eq!(take_nmi(nmi), Outcome::Unknown, "it is dispatched"),
    ];
    for come in ways {
        let world = not_started();
        let nmi = world.nmi;
        come(nmi);
        assert_eq!(nmi.is_online(1), Some(true));
        nmi.send(1, Request::Call).unwrap();
        take_nmi(nmi);
        assert_eq!(served(nmi, Request::Call), 1);
    }
}

/// It asserted its line while nobody was there to take the edge.
#[test]
fn a_poll_is_owed_from_when_a_cpu_comes_online_by_itself() {
    let witness = Leaked::new(Victim::new(Claim::None));
    let world = not_started();
    let nmi = world.nmi;
    become_cpu(Some(0));
    let kept = nmi.register(&spec("witness", Class::Platform), witness.0).unwrap();
    world.wait_us(1_100);
    nmi.tick();
    assert_eq!(witness.0.calls(), 1, "the registration");
    become_cpu(Some(1));
    nmi.entering_idle();
    world.wait_us(1_100);
    nmi.tick();
    assert_eq!(witness.0.calls(), 2);
    become_cpu(Some(0));
    kept.remove().unwrap();
}

#[test]
fn a_cpu_that_was_taken_offline_before_it_started_comes_only_when_told() {
    for is_marked in [true, false] {
        let world = not_started();
        let nmi = world.nmi;
        if is_marked {
            // SAFETY: this thread plays another CPU for the moment.
            unsafe { nmi.mark_offline(1) }.unwrap();
        } else {
            nmi.go_offline().unwrap();
        }
        nmi.entering_idle();
        nmi.tick();
        nmi.run_work();
        assert_eq!((take_nmi(nmi), nmi.is_online(1)), (Outcome::Offline, Some(false)));
        nmi.come_online().unwrap();
        assert_eq!((take_nmi(nmi), nmi.is_online(1)), (Outcome::Unknown, Some(true)));
    }
}

/// It came due while the CPU could not take it, nor ring itself for it.
#[test]
fn what_is_due_after_leaving_is_tried_again_at_each_tick_until_the_cpu_has_rung() {
    let world = World::new();
    let nmi = world.nmi;
    let rung = || nmi.platform.rung[0].load(Ordering::Relaxed);
    nmi.core.cpus()[0].own.post_after_leave(AfterLeave::STOP);
    *nmi.platform.ring_fails.lock().unwrap() = Some(RingError::Busy);
    nmi.tick_stopped();
    take_all_work_interrupts(nmi);
    assert_eq!(nmi.platform.ticks_wanted.load(Ordering::Relaxed), 1, "it asks for its tick");
    nmi.tick_restarted();
    nmi.tick();
    assert_eq!(rung(), 0);
    *nmi.platform.ring_fails.lock().unwrap() = None;
    nmi.tick();
    assert_eq!((rung(), nmi.platform.left.lock().unwrap().len()), (1, 0), "not outside an NMI");
    take_nmi(nmi);
    assert_eq!(nmi.platform.left.lock().unwrap()[..], [(0, AfterLeave::STOP, true)]);
}
