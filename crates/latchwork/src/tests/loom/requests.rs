// SPDX-License-Identifier: MIT OR Apache-2.0
//! Software sends: none lost, none taken twice, and what the sender wrote is seen.

use loom::thread;
use std::{boxed::Box, sync::Arc};

use super::{explore, explore_up_to};
use crate::{
    PerCpu, Request, SendError,
    primitive::{Ordering, SharedCell},
    tests::world::{World, become_cpu, served, take_nmi},
};

/// What one CPU leaves for another before it sends or comes.
pub(super) struct Letter(SharedCell<u32>);

// SAFETY: written before, read by whoever has learnt of it; showing that this is enough is the
// test.
unsafe impl Sync for Letter {}
// SAFETY: as above.
unsafe impl Send for Letter {}

impl Letter {
    pub(super) fn new() -> Self {
        Self(SharedCell::new(0))
    }

    pub(super) fn write(&self) {
        // SAFETY: nobody reads before the writer has sent or come.
        self.0.with_mut(|text| unsafe { *text = 1 });
    }

    pub(super) fn assert_written(&self) {
        // SAFETY: the writer wrote before it sent or came.
        assert_eq!(self.0.with(|text| unsafe { *text }), 1);
    }
}

#[test]
fn every_send_is_taken_once_and_what_came_before_it_is_seen() {
    explore_up_to(Some(3), || {
        let world = World::new();
        let nmi = world.nmi;
        let letters = Arc::new([Letter::new(), Letter::new()]);
        let read = Arc::clone(&letters);
        *nmi.platform.on_serve.lock().unwrap() = Some(Box::new(move |taken| {
            if taken.count(Request::Call) != 0 {
                read[0].assert_written();
            }
            if taken.count(Request::Backtrace) != 0 {
                read[1].assert_written();
            }
        }));
        let written = Arc::clone(&letters);
        let sender = thread::spawn(move || {
            become_cpu(Some(0));
            written[1].write();
            nmi.send(1, Request::Backtrace).unwrap();
        });
        let receiver = thread::spawn(move || {
            become_cpu(Some(1));
            take_nmi(nmi);
        });
        letters[0].write();
        nmi.send(1, Request::Call).unwrap();
        sender.join().unwrap();
        receiver.join().unwrap();
        become_cpu(Some(1));
        take_nmi(nmi);
        assert_eq!(served(nmi, Request::Call), 1);
        assert_eq!(served(nmi, Request::Backtrace), 1);
        assert_eq!(nmi.unfinished_sends(1), Some(0));
    });
}

#[test]
fn a_send_counts_as_finished_only_after_its_ring() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        *nmi.platform.on_serve.lock().unwrap() = Some(Box::new(move |_| {
            let taken_or_pending = 1;
            if nmi.unfinished_sends(1) == Some(0) {
                let rung = nmi.platform.rung[1].load(Ordering::Relaxed);
                assert_eq!(rung, taken_or_pending, "finished before it rang");
            }
        }));
        let receiver = thread::spawn(move || {
            become_cpu(Some(1));
            take_nmi(nmi);
        });
        nmi.send(1, Request::Call).unwrap();
        receiver.join().unwrap();
        become_cpu(Some(1));
        take_nmi(nmi);
        assert_eq!(served(nmi, Request::Call), 1);
    });
}

/// CPU 1 asks whether it need not wait: for the sends that it took, or for those of before it went
/// offline.
fn need_not_wait(cpus: &'static [PerCpu]) -> bool {
    let area = &cpus[1];
    let Some(unfinished) = area.wait_for_unfinished_sends(cpus) else {
        return true;
    };
    area.have_sends_finished(unfinished.wait, cpus)
}

#[test]
fn a_wait_for_a_send_that_was_taken_is_over_only_after_its_ring() {
    explore(|| {
        let world = World::new();
        let (nmi, cpus) = (world.nmi, world.cpus);
        let receiver = thread::spawn(move || {
            become_cpu(Some(1));
            if !cpus[1].take_requests().is_empty() && need_not_wait(cpus) {
                assert_eq!(nmi.platform.rung[1].load(Ordering::Relaxed), 1, "it has not rung");
            }
        });
        nmi.send(1, Request::Call).unwrap();
        receiver.join().unwrap();
        cpus[1].take_requests();
        assert_eq!((cpus[1].unfinished_sends(), need_not_wait(cpus)), (0, true));
    });
}

/// Another sender has died before, so the account counts one too many until a walk has finished.
#[test]
fn a_dead_sender_is_forgotten_and_a_living_one_is_not() {
    explore(|| {
        let world = World::new();
        let (nmi, cpus) = (world.nmi, world.cpus);
        cpus[1].senders.mailbox.post(Request::Call).unwrap();
        let receiver = thread::spawn(move || {
            become_cpu(Some(1));
            let mut taken = 0;
            for _ in 0..2 {
                taken += cpus[1].take_requests().count(Request::Backtrace);
                if need_not_wait(cpus) {
                    let rung = nmi.platform.rung[1].load(Ordering::Relaxed);
                    assert!(rung >= taken, "it has not rung");
                }
            }
        });
        nmi.send(1, Request::Backtrace).unwrap();
        receiver.join().unwrap();
        cpus[1].take_requests();
        assert!(need_not_wait(cpus));
        assert_eq!(cpus[1].unfinished_sends(), 0);
    });
}

/// It may have looked before, and ring after.
#[test]
fn a_cpu_that_was_offline_knows_of_each_sender_that_saw_it_online_before() {
    explore(|| {
        let world = World::new();
        let (nmi, cpus) = (world.nmi, world.cpus);
        let sender = thread::spawn(move || {
            become_cpu(Some(0));
            nmi.send(1, Request::Call)
        });
        become_cpu(Some(1));
        nmi.go_offline().unwrap();
        let rung = || nmi.platform.rung[1].load(Ordering::Relaxed);
        let wait = cpus[1].wait_for_what_is_under_way(cpus);
        let knows_of_none = cpus[1].have_sends_finished(wait, cpus);
        let rung_then = rung();
        match sender.join().unwrap() {
            Ok(()) => assert!(!knows_of_none || rung_then == 1, "it rings unknown"),
            refused => {
                assert_eq!(refused, Err(SendError::Offline { cpu: 1 }));
                assert_eq!(rung(), 0);
            }
        }
    });
}
