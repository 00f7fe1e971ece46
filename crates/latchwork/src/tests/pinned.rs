// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handlers that live on a stack.

use core::pin::pin;

use super::world::{Victim, World, spec, take_nmi};
use crate::{
    Claim, Class, PinnedHandler, RegisterError, StatsError, primitive::checked::interrupt,
};

#[test]
fn a_pinned_handler_is_removed_with_its_guard_and_can_come_again() {
    let world = World::new();
    let node = pin!(PinnedHandler::new(Victim::new(Claim::Handled)));
    let node = node.as_ref();
    let guard = node.register(world.nmi, &spec("node", Class::Local)).unwrap();
    let again = node.register(world.nmi, &spec("node", Class::Local)).unwrap_err();
    assert_eq!(again, RegisterError::AlreadyRegistered);
    take_nmi(world.nmi);
    let id = guard.id();
    assert_eq!(world.nmi.handler_stats(id, 0).unwrap().calls, 1);
    drop(guard);
    assert_eq!(world.nmi.handler_stats(id, 0), Err(StatsError::Stale));
    take_nmi(world.nmi);
    let guard = node.register(world.nmi, &spec("node", Class::Local)).unwrap();
    take_nmi(world.nmi);
    drop(guard);
    assert_eq!(node.get().calls(), 2);
}

#[test]
fn a_refused_registration_leaves_the_node_free() {
    let world = World::new();
    let node = pin!(PinnedHandler::new(Victim::new(Claim::Handled)));
    let node = node.as_ref();
    assert!(node.register(world.nmi, &spec("", Class::Local)).is_err());
    drop(node.register(world.nmi, &spec("node", Class::Local)).unwrap());
}

/// Leaking the guard ends its borrow; the node itself then removes.
#[test]
fn a_leaked_guard_does_not_leave_a_dangling_handler() {
    let world = World::new();
    let id = {
        let node = pin!(PinnedHandler::new(Victim::new(Claim::Handled)));
        let guard = node.as_ref().register(world.nmi, &spec("node", Class::Local)).unwrap();
        let id = guard.id();
        core::mem::forget(guard);
        take_nmi(world.nmi);
        assert_eq!(node.get().calls(), 1);
        id
    };
    assert_eq!(world.nmi.handler_stats(id, 0), Err(StatsError::Stale));
    take_nmi(world.nmi);
}

#[test]
#[should_panic(expected = "fatal: a pinned NMI handler was dropped on CPU 0 inside an NMI")]
fn dropped_in_dispatch_a_pinned_handler_is_fatal() {
    let world = World::new();
    let nmi = world.nmi;
    interrupt::arm(5, move || {
        let node = pin!(PinnedHandler::new(Victim::new(Claim::Handled)));
        // As if it had been registered before the NMI came.
        let inside = crate::tests::world::step_outside(nmi);
        let guard = node.as_ref().register(nmi, &spec("node", Class::Local)).unwrap();
        drop(inside);
        drop(guard);
    });
    take_nmi(nmi);
}
