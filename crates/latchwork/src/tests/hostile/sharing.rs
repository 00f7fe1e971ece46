// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tickets and nodes that are given to others, dropped or leaked. What two subsystems may not share
//! is in [`sharing`](crate::tests::sharing).

use std::{mem::ManuallyDrop, sync::Arc, thread};

use super::super::world::{Leaked, Victim, World, become_cpu, spec, take_nmi};
use crate::{
    Claim, Class, HANDLERS_PER_CLASS, HandlerId, PinnedHandler, RegisterError, StatsError,
};

#[test]
fn a_ticket_waits_for_the_cpus_of_its_own_subsystem() {
    let (first, second) = (World::new(), World::new());
    let victim = Leaked::new(Victim::new(Claim::None));
    let words = |world: &World| &world.cpus[1].own.read;
    words(&second).enter();
    let registration = first.nmi.register(&spec("victim", Class::Local), victim.0).unwrap();
    assert_eq!(registration.try_remove().check(), Ok(()), "the other one's CPU is not asked");
    words(&first).enter();
    let registration = first.nmi.register(&spec("victim", Class::Local), victim.0).unwrap();
    let mut ticket = registration.try_remove();
    words(&second).leave();
    assert_eq!(ticket.check(), Err(1), "nor does it answer for this one");
    words(&first).leave();
    assert!(ticket.is_over());
}

#[test]
fn a_copy_of_a_ticket_waits_as_long() {
    let world = World::new();
    let victim = Leaked::new(Victim::new(Claim::None));
    let word = &world.cpus[1].own.read;
    word.enter();
    let registration = world.nmi.register(&spec("victim", Class::Local), victim.0).unwrap();
    let mut ticket = registration.try_remove();
    let mut unasked = ticket.clone();
    assert!(!ticket.is_over());
    let mut asked = ticket.clone();
    word.leave();
    word.enter();
    assert!(ticket.is_over() && asked.is_over(), "another generation");
    assert!(!unasked.is_over(), "it has seen no generation, and cannot know");
    word.leave();
    assert!(unasked.is_over());
}

/// Whatever becomes of the tickets, the next registration takes the slot back.
#[test]
fn tickets_that_are_dropped_or_leaked_keep_no_slot() {
    let world = World::new();
    let victim = Leaked::new(Victim::new(Claim::None));
    for round in 0..3 * HANDLERS_PER_CLASS {
        let spec = spec("comes and goes", Class::Local);
        let ticket = world.nmi.register(&spec, victim.0).unwrap().try_remove();
        match round % 2 {
            0 => drop(ticket),
            _ => {
                let _leaked = ManuallyDrop::new(ticket);
            }
        }
        take_nmi(world.nmi);
    }
    assert_eq!(victim.0.calls(), 0);
}

/// The guard is leaked, and the last owner of the node is another thread.
#[test]
fn a_node_removes_itself_whoever_drops_it_last() {
    let world = World::new();
    let nmi = world.nmi;
    let node = Arc::pin(PinnedHandler::new(Victim::new(Claim::Handled)));
    let guard = node.as_ref().register(nmi, &spec("node", Class::Local)).unwrap();
    let id = guard.id();
    core::mem::forget(guard);
    let again = node.as_ref().register(nmi, &spec("node", Class::Local));
    assert_eq!(again.unwrap_err(), RegisterError::AlreadyRegistered, "the registration is there");
    let last = node.clone();
    drop(node);
    take_nmi(nmi);
    assert_eq!(nmi.handler_stats(id, 0).unwrap().calls, 1);
    let other = thread::spawn(move || {
        become_cpu(Some(1));
        drop(last);
    });
    other.join().unwrap();
    assert_eq!(nmi.handler_stats(id, 0), Err(StatsError::Stale));
    take_nmi(nmi);
}

/// Its memory may be used again from then on, so it waits for the CPU that is inside.
#[test]
fn a_node_that_is_dropped_waits_for_the_call_that_is_under_way() {
    let world = World::new();
    let nmi = world.nmi;
    let word = &world.cpus[1].own.read;
    let node = std::boxed::Box::pin(PinnedHandler::new(Victim::new(Claim::Handled)));
    core::mem::forget(node.as_ref().register(nmi, &spec("node", Class::Local)).unwrap());
    word.enter();
    let dropper = thread::spawn(move || {
        become_cpu(Some(0));
        drop(node);
    });
    while !nmi.core.registry.order(Class::Local).is_empty() {
        thread::yield_now();
    }
    for _ in 0..1_000 {
        thread::yield_now();
    }
    assert!(!dropper.is_finished(), "CPU 1 may be in the handler");
    word.leave();
    dropper.join().unwrap();
}

/// It is `Copy`, so it may be kept for ever, by anybody.
#[test]
fn an_id_that_is_kept_names_none_of_the_slots_later_owners() {
    let world = World::new();
    let nmi = world.nmi;
    let victim = Leaked::new(Victim::new(Claim::None));
    let mut kept: std::vec::Vec<HandlerId> = std::vec::Vec::new();
    for _ in 0..2 * HANDLERS_PER_CLASS {
        let registration = nmi.register(&spec("next", Class::Local), victim.0).unwrap();
        assert!(kept.iter().all(|old| nmi.handler_stats(*old, 0) == Err(StatsError::Stale)));
        kept.push(registration.id());
        registration.remove().unwrap();
    }
}
