// SPDX-License-Identifier: MIT OR Apache-2.0
//! Removals and sends while CPUs go and come back.

use loom::thread;
use std::sync::Arc;

use super::{explore, requests::Letter};
use crate::{
    Claim, Class, Request, SendError, Urgency,
    primitive::{AtomicBool, Ordering},
    tests::{
        item::Item,
        world::{
            Leaked, Stops, Victim, World, become_cpu, served, spec, take_nmi, take_nmi_and_stop,
            take_work_interrupt,
        },
    },
};

/// A removal need not know that a CPU was away.
#[test]
fn removal_beside_a_cpu_that_goes_and_comes_back() {
    explore(|| {
        let world = World::new();
        let victim = Leaked::new(Victim::new(Claim::None));
        let (nmi, handler) = (world.nmi, victim.0);
        let registration = nmi.register(&spec("victim", Class::Local), handler).unwrap();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            take_nmi(nmi);
            nmi.go_offline().unwrap();
            take_nmi(nmi);
            nmi.come_online().unwrap();
            take_nmi(nmi);
        });
        registration.remove().unwrap();
        handler.poison();
        other_cpu.join().unwrap();
        assert_eq!(nmi.cpu_stats(1).unwrap().offline, 1);
    });
}

/// A removal that waits for a CPU that was stopped inside the handler is over once that CPU is
/// marked, and what the handler did lies before its return, though nobody tells the remover but the
/// read word.
#[test]
fn removal_waits_for_a_stopped_cpu_until_it_is_marked() {
    explore(|| {
        let world = World::new();
        let stops = Leaked::new(Stops::new());
        let (nmi, handler) = (world.nmi, stops.0);
        let registration = nmi.register(&spec("stops", Class::Local), handler).unwrap();
        let is_stopped = Arc::new(AtomicBool::new(false));
        let rumour = Arc::clone(&is_stopped);
        let stopped = thread::spawn(move || {
            become_cpu(Some(1));
            take_nmi_and_stop(nmi);
            rumour.store(true, Ordering::Relaxed);
        });
        let marker = thread::spawn(move || {
            become_cpu(None);
            stopped.join().unwrap();
            // SAFETY: CPU 1 was stopped, and joining its thread shows all that it did.
            unsafe { nmi.mark_offline(1) }.unwrap();
        });
        if is_stopped.load(Ordering::Relaxed) {
            registration.remove().unwrap();
            handler.poison();
            marker.join().unwrap();
        } else {
            marker.join().unwrap();
            registration.remove().unwrap();
        }
    });
}

/// Who sees a CPU online again sees what it did before, and sends to an empty mailbox: its request
/// is served.
///
/// The returning CPU is the main thread, which loom lets run first. loom remembers one access of
/// each kind to an atomic, so the other way round it would miss that the store there depends on the
/// sender's load: a load of the returning CPU itself lies between.
#[test]
fn a_send_to_a_cpu_that_is_back_is_served() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        become_cpu(Some(1));
        nmi.send(1, Request::Backtrace).unwrap();
        nmi.go_offline().unwrap();
        let letter = Arc::new(Letter::new());
        let read = Arc::clone(&letter);
        let sender = thread::spawn(move || {
            become_cpu(Some(0));
            let sent = nmi.send(1, Request::Call);
            if sent.is_ok() {
                read.assert_written();
            }
            sent
        });
        letter.write();
        nmi.come_online().unwrap();
        let sent = sender.join().unwrap();
        take_nmi(nmi);
        match sent {
            Ok(()) => assert_eq!(served(nmi, Request::Call), 1),
            refused => assert_eq!(refused, Err(SendError::Offline { cpu: 1 })),
        }
        assert_eq!(served(nmi, Request::Backtrace), 0);
        assert_eq!(nmi.cpu_stats(1).unwrap().requests_dropped, 1);
    });
}

/// A CPU goes offline with an item on its list, and tells another one, which goes just then: one of
/// the two tells the third.
#[test]
fn what_is_left_is_told_to_a_cpu_that_stays() {
    explore(|| {
        let item = Item::new();
        let world = World::with_cpus(3);
        let nmi = world.nmi;
        nmi.queue(item.work.0, Urgency::Lazy).unwrap();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            nmi.go_offline().unwrap();
        });
        nmi.go_offline().unwrap();
        other_cpu.join().unwrap();
        become_cpu(Some(2));
        take_work_interrupt(nmi);
        assert_eq!(item.runs(), 1);
    });
}
