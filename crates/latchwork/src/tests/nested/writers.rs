// SPDX-License-Identifier: MIT OR Apache-2.0
//! NMIs that interrupt whoever registers, removes or sends.

use std::{cell::RefCell, rc::Rc};

use super::{arm, at_every_access, came};
use crate::{
    Claim, Class, HandleError, RegisterError, RemoveFailure, Request, Ticket,
    primitive::{Counter, Ordering},
    tests::world::{Leaked, Victim, World, served, spec, take_nmi},
};

/// A call that comes as soon as the handler is published counts.
#[test]
fn calls_during_registration_are_counted() {
    at_every_access(20, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let victim = Leaked::new(Victim::announced(nmi));
        arm(accesses_before, move || {
            take_nmi(nmi);
        });
        let registration = nmi.register(&spec("victim", Class::Local), victim.0).unwrap();
        let interrupted = came();
        let stats = nmi.handler_stats(registration.id(), 0).unwrap();
        assert_eq!(stats.calls, victim.0.calls());
        assert_eq!(stats.claims, victim.0.calls());
        registration.remove().unwrap();
        interrupted
    });
}

/// Whenever the NMI comes, it finds the handler whole or not at all, and never after the removal.
#[test]
fn a_removal_is_over_when_it_returns() {
    at_every_access(20, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let victim = Leaked::new(Victim::announced(nmi));
        let registration = nmi.register(&spec("victim", Class::Local), victim.0).unwrap();
        arm(accesses_before, move || {
            take_nmi(nmi);
        });
        registration.remove().unwrap();
        let interrupted = came();
        victim.0.poison();
        take_nmi(nmi);
        interrupted
    });
}

/// In the NMI that interrupts a writer, nothing waits for that writer.
#[test]
fn in_an_nmi_writers_are_refused() {
    at_every_access(20, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let asked = Leaked::new(Refused::new(nmi));
        let registration = nmi.register(&spec("asked", Class::Local), asked.0).unwrap();
        let victim = Leaked::new(Victim::new(Claim::None));
        arm(accesses_before, move || {
            take_nmi(nmi);
        });
        let other = nmi.register(&spec("victim", Class::Local), victim.0).unwrap();
        other.remove().unwrap();
        let interrupted = came();
        registration.remove().unwrap();
        interrupted
    });
}

/// A handler that tries to register and remove from inside its call.
struct Refused {
    nmi: &'static crate::Nmi<crate::tests::world::TestPlatform>,
    other: Leaked<Victim>,
}

impl Refused {
    fn new(nmi: &'static crate::Nmi<crate::tests::world::TestPlatform>) -> Self {
        Self { nmi, other: Leaked::new(Victim::new(Claim::None)) }
    }
}

// SAFETY: both calls are refused before they take a lock.
unsafe impl crate::NmiHandler for Refused {
    fn handle(&self, ctx: &crate::NmiContext<'_>) -> Claim {
        let refused = self.nmi.register(&spec("inside", Class::Local), self.other.0);
        let expected = crate::InDispatch { cpu: ctx.cpu() };
        assert_eq!(refused.unwrap_err(), RegisterError::InDispatch(expected));
        Claim::Handled
    }
}

/// `try_remove` in an NMI on top of a half-done writer of the same class: the writer does not undo
/// it, and it does not undo the writer.
#[test]
fn try_remove_on_top_of_a_half_done_writer() {
    at_every_access(30, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let leaver = Leaked::new(Victim::new(Claim::None));
        let comer = Leaked::new(Victim::new(Claim::None));
        let other = Leaked::new(Victim::new(Claim::None));
        let leaving = leaver.0;
        let registration = nmi.register(&spec("leaver", Class::Local), leaving).unwrap();
        let departed = nmi.register(&spec("other", Class::Local), other.0).unwrap();
        let ticket: Rc<RefCell<Option<Ticket>>> = Rc::default();
        let kept = Rc::clone(&ticket);
        arm(accesses_before, move || {
            let mut ticket = registration.try_remove();
            assert!(ticket.is_over(), "no CPU is in dispatch");
            leaving.poison();
            *kept.borrow_mut() = Some(ticket);
        });
        let coming = nmi.register(&spec("comer", Class::Local), comer.0).unwrap();
        let while_registering = ticket.borrow().is_some();
        if while_registering {
            take_nmi(nmi);
        }
        departed.remove().unwrap();
        other.0.poison();
        let interrupted = came();
        if interrupted {
            take_nmi(nmi);
            let calls = 1 + usize::from(while_registering);
            assert_eq!((leaver.0.calls(), comer.0.calls()), (0, calls));
        }
        coming.remove().unwrap();
        interrupted
    });
}

/// A guard given up in an NMI on top of a half-done writer of the same class: nothing waits, and
/// the handle is good for one guard.
#[test]
fn a_guard_given_up_on_top_of_a_half_done_writer() {
    at_every_access(30, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let kept = Leaked::new(Victim::new(Claim::Handled));
        let other = Leaked::new(Victim::new(Claim::None));
        let registration = nmi.register(&spec("kept", Class::Local), kept.0).unwrap();
        let id = registration.id();
        arm(accesses_before, move || {
            assert_eq!(registration.into_handle(), id);
        });
        nmi.register(&spec("other", Class::Local), other.0).unwrap().remove().unwrap();
        let interrupted = came();
        if interrupted {
            take_nmi(nmi);
            assert_eq!(kept.0.calls(), 1);
            let guard = nmi.reclaim(id).unwrap();
            assert_eq!(nmi.reclaim(id).unwrap_err(), HandleError::Guarded);
            guard.remove().unwrap();
        }
        interrupted
    });
}

/// A guard given up in an NMI in the midst of whoever wants it: there is at most one guard.
#[test]
fn a_guard_given_up_while_it_is_wanted() {
    at_every_access(5, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let kept = Leaked::new(Victim::new(Claim::Handled));
        let registration = nmi.register(&spec("kept", Class::Local), kept.0).unwrap();
        let id = registration.id();
        arm(accesses_before, move || {
            registration.into_handle();
        });
        let wanted = nmi.reclaim(id);
        let interrupted = came();
        if interrupted {
            let second = nmi.reclaim(id);
            assert!(wanted.is_ok() != second.is_ok(), "one of them has it: {wanted:?}, {second:?}");
            for guard in [wanted, second].into_iter().flatten() {
                guard.remove().unwrap();
            }
        }
        interrupted
    });
}

/// A removal from inside the handler that is removed: refused, and the guard is whole.
#[test]
fn a_handler_cannot_remove_itself_and_wait() {
    let world = World::new();
    let nmi = world.nmi;
    let victim = Leaked::new(Victim::new(Claim::Handled));
    let registration = nmi.register(&spec("victim", Class::Local), victim.0).unwrap();
    let kept = Rc::new(RefCell::new(Some(registration)));
    let taken = Rc::clone(&kept);
    // After five accesses a dispatch has entered the read side.
    arm(5, move || {
        let registration = taken.borrow_mut().take().unwrap();
        let refused = registration.remove().unwrap_err();
        assert!(matches!(refused.failure, RemoveFailure::InDispatch(context) if context.cpu == 0));
        *taken.borrow_mut() = Some(refused.registration);
    });
    take_nmi(nmi);
    assert!(came());
    take_nmi(nmi);
    assert_eq!(victim.0.calls(), 2);
    drop(kept.take());
    victim.0.poison();
    take_nmi(nmi);
}

/// Dropping a guard inside dispatch neither waits nor leaves the handler behind.
#[test]
fn a_guard_dropped_in_dispatch_is_reclaimed_later() {
    let world = World::new();
    let nmi = world.nmi;
    let victim = Leaked::new(Victim::new(Claim::Handled));
    let registration = nmi.register(&spec("victim", Class::Local), victim.0).unwrap();
    let id = registration.id();
    let kept = RefCell::new(Some(registration));
    arm(5, move || {
        assert!(nmi.in_nmi());
        drop(kept.take());
    });
    take_nmi(nmi);
    assert!(came());
    victim.0.poison();
    take_nmi(nmi);
    let next = Leaked::new(Victim::new(Claim::Handled));
    let registration = nmi.register(&spec("next", Class::Local), next.0).unwrap();
    assert!(nmi.handler_stats(id, 0).is_err(), "the slot was reclaimed");
    registration.remove().unwrap();
}

/// A send that an NMI interrupts is taken once, by that NMI or by its own.
#[test]
fn an_interrupted_send_is_taken_once() {
    at_every_access(4, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        arm(accesses_before, move || {
            take_nmi(nmi);
        });
        nmi.send(0, Request::Call).unwrap();
        let interrupted = came();
        take_nmi(nmi);
        assert_eq!(served(nmi, Request::Call), 1);
        assert_eq!(nmi.unfinished_sends(0), Some(0));
        interrupted
    });
}

/// A Stop that comes while the CPU holds the writer lock is taken in an NMI for which the CPU rings
/// itself: no other source need ring.
#[test]
fn a_stop_amid_a_registration_parks_at_once_or_in_an_nmi_of_its_own() {
    let kept = Counter::new(0);
    at_every_access(20, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let victim = Leaked::new(Victim::new(Claim::None));
        nmi.send(0, Request::Stop).unwrap();
        arm(accesses_before, move || {
            take_nmi(nmi);
        });
        let registration = nmi.register(&spec("victim", Class::Local), victim.0).unwrap();
        let interrupted = came();
        let parked = || nmi.platform.left.lock().unwrap().len();
        let rung = nmi.platform.rung[0].load(Ordering::Relaxed);
        assert_eq!(rung - 1 + parked(), usize::from(interrupted));
        if parked() == 0 {
            kept.fetch_add(1, Ordering::Relaxed);
        }
        take_nmi(nmi);
        assert_eq!(parked(), 1);
        registration.remove().unwrap();
        interrupted
    });
    assert!(kept.load(Ordering::Relaxed) > 10, "it held the lock for longer");
}
