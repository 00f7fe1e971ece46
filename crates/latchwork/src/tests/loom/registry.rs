// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handlers come and go while other CPUs dispatch.

use loom::thread;

use super::explore;
use crate::{
    Claim, Class, HANDLERS_PER_CLASS,
    tests::world::{Leaked, Victim, World, become_cpu, spec, take_nmi},
};

/// After `remove` returns, the handler's memory may be written.
#[test]
fn removal_is_over_when_it_returns() {
    explore(|| {
        let world = World::new();
        let victim = Leaked::new(Victim::new(Claim::None));
        let (nmi, handler) = (world.nmi, victim.0);
        let registration = nmi.register(&spec("victim", Class::Local), handler).unwrap();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            take_nmi(nmi);
            take_nmi(nmi);
        });
        registration.remove().unwrap();
        handler.poison();
        other_cpu.join().unwrap();
    });
}

/// A poll outside NMIs is waited for as a dispatch is.
#[test]
fn removal_waits_for_a_poll_outside_nmis() {
    explore(|| {
        let world = World::new();
        let victim = Leaked::new(Victim::new(Claim::None));
        let (nmi, handler) = (world.nmi, victim.0);
        let registration = nmi.register(&spec("victim", Class::Platform), handler).unwrap();
        world.wait_us(1_100);
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            nmi.tick();
        });
        registration.remove().unwrap();
        handler.poison();
        other_cpu.join().unwrap();
    });
}

/// Who finds a handler finds all of it.
#[test]
fn a_handler_is_published_whole() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            take_nmi(nmi);
        });
        let victim = Leaked::new(Victim::new(Claim::None));
        let registration = nmi.register(&spec("new", Class::Local), victim.0).unwrap();
        other_cpu.join().unwrap();
        let calls = victim.0.calls();
        take_nmi(nmi);
        assert_eq!(victim.0.calls(), calls + 1);
        registration.remove().unwrap();
    });
}

/// Only one slot is left for both, so the second handler moves into the slot of the first.
#[test]
fn a_slot_is_used_again_only_after_quiescence() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let others: std::vec::Vec<_> =
            (1..HANDLERS_PER_CLASS).map(|_| Leaked::new(Victim::new(Claim::None))).collect();
        let kept: std::vec::Vec<_> = others
            .iter()
            .map(|other| nmi.register(&spec("other", Class::Local), other.0).unwrap())
            .collect();
        let first = Leaked::new(Victim::new(Claim::None));
        let second = Leaked::new(Victim::new(Claim::None));
        let registration = nmi.register(&spec("first", Class::Local), first.0).unwrap();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            take_nmi(nmi);
        });
        registration.remove().unwrap();
        first.0.poison();
        let registration = nmi.register(&spec("second", Class::Local), second.0).unwrap();
        registration.remove().unwrap();
        second.0.poison();
        other_cpu.join().unwrap();
        drop(kept);
    });
}

/// Likewise for a slot that `try_remove` gave up and the next writer reclaims.
#[test]
fn a_slot_given_up_is_used_again_only_after_quiescence() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let first = Leaked::new(Victim::new(Claim::None));
        let registration = nmi.register(&spec("first", Class::Local), first.0).unwrap();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            take_nmi(nmi);
        });
        let mut ticket = registration.try_remove();
        if ticket.is_over() {
            first.0.poison();
        }
        let others = [Victim::new(Claim::None), Victim::new(Claim::None)].map(Leaked::new);
        let registered: std::vec::Vec<_> = others
            .iter()
            .filter_map(|other| nmi.register(&spec("other", Class::Local), other.0).ok())
            .collect();
        for registration in registered {
            registration.remove().unwrap();
        }
        for other in &others {
            other.0.poison();
        }
        other_cpu.join().unwrap();
        assert!(ticket.is_over());
    });
}

/// A `try_remove` and a registration at the same time: neither undoes the other.
#[test]
fn try_remove_beside_a_writer() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let leaver = Leaked::new(Victim::new(Claim::None));
        let comer = Leaked::new(Victim::new(Claim::None));
        let (leaving, coming) = (leaver.0, comer.0);
        let registration = nmi.register(&spec("leaver", Class::Local), leaving).unwrap();
        let writer = thread::spawn(move || {
            become_cpu(Some(1));
            nmi.register(&spec("comer", Class::Local), coming).unwrap()
        });
        let mut ticket = registration.try_remove();
        assert!(ticket.is_over(), "no CPU is in an NMI");
        leaving.poison();
        let registration = writer.join().unwrap();
        take_nmi(nmi);
        assert_eq!((leaving.calls(), coming.calls()), (0, 1));
        registration.remove().unwrap();
    });
}

/// The ticket says when the memory may be written.
#[test]
fn a_ticket_is_over_only_after_quiescence() {
    explore(|| {
        let world = World::new();
        let victim = Leaked::new(Victim::new(Claim::None));
        let (nmi, handler) = (world.nmi, victim.0);
        let registration = nmi.register(&spec("victim", Class::Local), handler).unwrap();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            take_nmi(nmi);
            take_nmi(nmi);
        });
        let mut ticket = registration.try_remove();
        while !ticket.is_over() {
            thread::yield_now();
        }
        handler.poison();
        other_cpu.join().unwrap();
    });
}

/// Two registrants, and a CPU that dispatches meanwhile.
#[test]
fn two_registrants_at_once() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let handlers = [Victim::new(Claim::None), Victim::new(Claim::None)].map(Leaked::new);
        let [mine, theirs] = [handlers[0].0, handlers[1].0];
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            let registration = nmi.register(&spec("theirs", Class::Local), theirs).unwrap();
            take_nmi(nmi);
            registration
        });
        let registration = nmi.register(&spec("mine", Class::Local), mine).unwrap();
        let other = other_cpu.join().unwrap();
        assert_ne!(registration.id(), other.id());
        let before = (mine.calls(), theirs.calls());
        take_nmi(nmi);
        assert_eq!((mine.calls(), theirs.calls()), (before.0 + 1, before.1 + 1));
        registration.remove().unwrap();
        other.remove().unwrap();
    });
}
