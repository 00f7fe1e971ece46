// SPDX-License-Identifier: MIT OR Apache-2.0
//! NMIs that interrupt a CPU that goes offline or comes back, and NMIs that interrupt those.

use std::{cell::Cell, rc::Rc};

use super::{arm, at_every_access, came};
use crate::{
    Class, Outcome, Request,
    tests::world::{
        Leaked, Stops, Victim, World, become_cpu, served, spec, take_nmi, take_nmi_and_stop,
    },
};

/// Whenever the NMI comes, it is dispatched whole or turned away, and what was sent is served or
/// dropped.
#[test]
fn an_nmi_while_the_cpu_goes_is_dispatched_or_turned_away() {
    at_every_access(4, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let victim = Leaked::new(Victim::announced(nmi));
        let registration = nmi.register(&spec("victim", Class::Local), victim.0).unwrap();
        let outcome = Rc::new(Cell::new(None));
        let seen = Rc::clone(&outcome);
        nmi.send(0, Request::Call).unwrap();
        arm(accesses_before, move || seen.set(Some(take_nmi(nmi))));
        nmi.go_offline().unwrap();
        let interrupted = came();
        assert_eq!(take_nmi(nmi), Outcome::Offline);
        let dispatched = outcome.get() == Some(Outcome::Claimed);
        assert!(dispatched || !interrupted || outcome.get() == Some(Outcome::Offline));
        assert_eq!(victim.0.calls(), usize::from(dispatched));
        assert_eq!(served(nmi, Request::Call), usize::from(dispatched));
        let stats = nmi.cpu_stats(0).unwrap();
        assert_eq!(stats.requests + stats.requests_dropped, 1);
        registration.remove().unwrap();
        interrupted
    });
}

/// Likewise on the way back; and from the return on, every NMI is dispatched.
#[test]
fn an_nmi_while_the_cpu_comes_back_is_dispatched_or_turned_away() {
    at_every_access(6, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let victim = Leaked::new(Victim::announced(nmi));
        let registration = nmi.register(&spec("victim", Class::Local), victim.0).unwrap();
        nmi.send(0, Request::Stop).unwrap();
        nmi.go_offline().unwrap();
        arm(accesses_before, move || {
            take_nmi(nmi);
        });
        nmi.come_online().unwrap();
        let interrupted = came();
        assert_eq!(take_nmi(nmi), Outcome::Claimed);
        let stats = nmi.cpu_stats(0).unwrap();
        assert_eq!(stats.edges + stats.offline, 1 + usize::from(interrupted));
        assert_eq!(victim.0.calls(), stats.edges);
        assert_eq!((stats.requests, stats.requests_dropped), (0, 1));
        assert!(nmi.platform.left.lock().unwrap().is_empty(), "an old stop does not park it");
        registration.remove().unwrap();
        interrupted
    });
}

/// Requests are dropped once, by the outer or by the nested NMI.
#[test]
fn an_nmi_on_top_of_one_that_is_turned_away() {
    at_every_access(4, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        for _ in 0..2 {
            nmi.send(0, Request::Call).unwrap();
        }
        nmi.go_offline().unwrap();
        arm(accesses_before, move || assert_eq!(take_nmi(nmi), Outcome::Offline));
        assert_eq!(take_nmi(nmi), Outcome::Offline);
        let nested = came();
        let stats = nmi.cpu_stats(0).unwrap();
        assert_eq!((stats.offline, stats.requests_dropped), (1 + usize::from(nested), 2));
        assert_eq!(nmi.unfinished_sends(0), Some(0));
        nested
    });
}

/// The marking CPU may take NMIs: it finds the Platform handlers in the stopped CPU's hands, or
/// not.
#[test]
fn an_nmi_while_another_cpu_is_marked() {
    at_every_access(6, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let stops = Leaked::new(Stops::new());
        let registration = nmi.register(&spec("stops", Class::Platform), stops.0).unwrap();
        become_cpu(Some(1));
        take_nmi_and_stop(nmi);
        become_cpu(Some(0));
        let mut ticket = registration.try_remove();
        arm(accesses_before, move || {
            take_nmi(nmi);
        });
        // SAFETY: CPU 1 was stopped by this thread.
        unsafe { nmi.mark_offline(1) }.unwrap();
        let interrupted = came();
        assert!(ticket.is_over());
        stops.0.poison();
        take_nmi(nmi);
        if !interrupted {
            take_nmi(nmi);
        }
        for _ in 0..2 {
            world.wait_us(1_100);
            nmi.tick();
        }
        let stats = nmi.cpu_stats(0).unwrap();
        assert_eq!((stats.absorbed, stats.unknown), (1, 1), "it may have claimed one condition");
        interrupted
    });
}
