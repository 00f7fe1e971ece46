// SPDX-License-Identifier: MIT OR Apache-2.0
//! Software sends: none lost, none taken twice, and what the sender wrote is seen.

use loom::thread;
use std::{boxed::Box, sync::Arc};

use super::explore;
use crate::{
    Request,
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
    explore(|| {
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
