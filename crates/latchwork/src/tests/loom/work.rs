// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deferred work: every item runs once, one run at a time, and somebody is told of each.
//!
//! The CPUs run their lists only at interrupts that were raised. Those that are pending when the
//! threads have ended are taken one after the other; what has not run then was stranded.

use loom::thread;
use std::sync::Arc;

use super::{explore, requests::Letter};
use crate::{
    QueueError, Urgency, Work,
    primitive::{AtomicUsize, Ordering},
    tests::{
        item::Item,
        world::{World, become_cpu, take_all_work_interrupts, take_work_interrupt},
    },
};

/// A remote producer against the CPU that runs the list, with one item there already.
#[test]
fn a_remote_item_runs_once_and_sees_what_came_before_it() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let letter = Arc::new(Letter::new());
        let read = Arc::clone(&letter);
        let (first, second) = (Item::new(), Item::doing(move |_, _| read.assert_written()));
        nmi.queue_on(1, first.work.0, Urgency::Now).unwrap();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            take_work_interrupt(nmi);
        });
        letter.write();
        nmi.queue_on(1, second.work.0, Urgency::Now).unwrap();
        other_cpu.join().unwrap();
        take_all_work_interrupts(nmi);
        assert_eq!((first.ran_on(), second.ran_on()), (std::vec![1], std::vec![1]));
    });
}

/// Two producers and a consumer: each producer is told for, the one in the gap too.
#[test]
fn two_producers_against_a_run() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let items = [Item::new(), Item::new()];
        let [mine, theirs] = [items[0].work.0, items[1].work.0];
        let producer = thread::spawn(move || {
            become_cpu(Some(0));
            nmi.queue_on(1, theirs, Urgency::Now).unwrap();
        });
        let consumer = thread::spawn(move || {
            become_cpu(Some(1));
            take_work_interrupt(nmi);
        });
        nmi.queue_on(1, mine, Urgency::Now).unwrap();
        producer.join().unwrap();
        consumer.join().unwrap();
        take_all_work_interrupts(nmi);
        assert!(items.iter().all(|item| item.ran_on() == [1]));
    });
}

/// What a queuer stored is seen by the last run, also if it was told that the item is queued
/// already. The letter is Relaxed: the item alone gives the order.
#[test]
fn the_last_run_sees_what_every_queuer_stored() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let letter = Arc::new(AtomicUsize::new(0));
        let seen = Arc::new(AtomicUsize::new(0));
        let (read, noted) = (Arc::clone(&letter), Arc::clone(&seen));
        let item = Item::doing(move |_, _| {
            noted.store(read.load(Ordering::Relaxed), Ordering::Relaxed);
        });
        let queued = item.work.0;
        nmi.queue_on(1, queued, Urgency::Now).unwrap();
        let consumer = thread::spawn(move || {
            become_cpu(Some(1));
            take_work_interrupt(nmi);
            take_work_interrupt(nmi);
        });
        letter.store(1, Ordering::Relaxed);
        let newly = nmi.queue_on(1, queued, Urgency::Now).unwrap();
        consumer.join().unwrap();
        take_all_work_interrupts(nmi);
        assert_eq!(item.runs(), 1 + usize::from(newly));
        assert_eq!(seen.load(Ordering::Relaxed), 1);
    });
}

/// An item is queued for another CPU while it runs: never two runs at once, and none is lost.
#[test]
fn an_item_queued_elsewhere_while_it_runs_never_meets_itself() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let item = Item::new();
        let queued = item.work.0;
        nmi.queue(queued, Urgency::Now).unwrap();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            let newly = nmi.queue(queued, Urgency::Now).unwrap();
            take_work_interrupt(nmi);
            newly
        });
        take_work_interrupt(nmi);
        let newly = other_cpu.join().unwrap();
        take_all_work_interrupts(nmi);
        assert_eq!(item.runs(), 1 + usize::from(newly));
        assert!(queued.is_idle());
    });
}

/// Two queue an item that is running, one of them from nowhere: each `true` is a run.
#[test]
fn an_item_queued_by_two_while_it_runs() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let item = Item::new();
        let queued = item.work.0;
        nmi.queue(queued, Urgency::Now).unwrap();
        let queuers = [Some(1), None].map(|cpu| {
            thread::spawn(move || {
                become_cpu(cpu);
                nmi.queue_on(1, queued, Urgency::Now).unwrap()
            })
        });
        take_work_interrupt(nmi);
        let newly = queuers.map(|queuer| usize::from(queuer.join().unwrap()));
        take_all_work_interrupts(nmi);
        assert_eq!(item.runs(), 1 + newly[0] + newly[1]);
        assert!(queued.is_idle());
    });
}

/// The tick stops while another CPU queues a lazy item: the CPU finds it, or is told.
#[test]
fn a_tick_that_stops_leaves_no_lazy_item_behind() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let item = Item::new();
        let queued = item.work.0;
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            nmi.tick_stopped();
        });
        nmi.queue_on(1, queued, Urgency::Lazy).unwrap();
        other_cpu.join().unwrap();
        take_all_work_interrupts(nmi);
        assert_eq!(item.ran_on(), [1]);
    });
}

/// Likewise with an item in front, so that the producer links itself to that one.
#[test]
fn a_tick_that_stops_behind_another_item() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let (first, second) = (Item::new(), Item::new());
        let queued = second.work.0;
        nmi.queue_on(1, first.work.0, Urgency::Lazy).unwrap();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            nmi.tick_stopped();
            take_work_interrupt(nmi);
        });
        nmi.queue_on(1, queued, Urgency::Lazy).unwrap();
        other_cpu.join().unwrap();
        take_all_work_interrupts(nmi);
        assert_eq!((first.ran_on(), second.ran_on()), (std::vec![1], std::vec![1]));
    });
}

/// An item that comes again does not bring its former successor along. The CPU looks at its list at
/// ticks, which tell it nothing: so the list alone gives the order.
#[test]
fn an_item_that_comes_again_comes_alone() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let items = [Item::new(), Item::new()];
        let [first, second] = [items[0].work.0, items[1].work.0];
        nmi.queue_on(1, first, Urgency::Lazy).unwrap();
        nmi.queue_on(1, second, Urgency::Lazy).unwrap();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            nmi.tick();
            nmi.tick();
        });
        let newly = nmi.queue_on(1, first, Urgency::Lazy).unwrap();
        other_cpu.join().unwrap();
        become_cpu(Some(1));
        nmi.tick();
        assert_eq!((items[0].runs(), items[1].runs()), (1 + usize::from(newly), 1));
        assert!(first.is_idle() && second.is_idle());
    });
}

/// After the wait, the memory that the item used may be written, and the item is left alone.
#[test]
fn a_wait_is_over_after_the_run() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let item = Item::new();
        nmi.queue_on(1, item.work.0, Urgency::Now).unwrap();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            take_work_interrupt(nmi);
        });
        nmi.sync_work(item.work.0).unwrap();
        item.poison();
        other_cpu.join().unwrap();
        assert_eq!(item.ran_on(), [1]);
    });
}

/// A CPU goes offline while another queues an item for it: it is refused, or runs once, on either.
#[test]
fn an_item_for_a_cpu_that_goes_offline_is_refused_or_runs() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let item = Item::new();
        let queued: &'static Work = item.work.0;
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            nmi.go_offline().unwrap();
            nmi.run_work();
            nmi.platform.work_interrupts[1].swap(false, Ordering::AcqRel);
        });
        let answer = nmi.queue_on(1, queued, Urgency::Now);
        other_cpu.join().unwrap();
        nmi.platform.work_interrupts[1].swap(false, Ordering::AcqRel);
        become_cpu(Some(0));
        take_work_interrupt(nmi);
        nmi.run_work();
        match answer {
            Ok(newly) => assert_eq!((newly, item.runs()), (true, 1)),
            refused => assert_eq!((refused, item.runs()), (Err(QueueError::Offline { cpu: 1 }), 0)),
        }
        assert!(queued.is_idle());
    });
}

/// The same, and the CPU is halted without having run its lists.
#[test]
fn what_a_cpu_left_when_it_went_runs_elsewhere() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let (left, late) = (Item::new(), Item::new());
        nmi.queue_on(1, left.work.0, Urgency::Lazy).unwrap();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            nmi.go_offline().unwrap();
        });
        let answer = nmi.queue_on(1, late.work.0, Urgency::Lazy);
        nmi.tick();
        other_cpu.join().unwrap();
        nmi.tick();
        assert_eq!(left.ran_on(), [0]);
        assert_eq!(late.runs(), usize::from(answer.is_ok()));
    });
}

/// A CPU comes back while another runs what it left: each item runs once, on either, and what the
/// CPU queues when it is back is not left behind by the other, which goes round again for it.
#[test]
fn a_cpu_that_comes_back_and_one_that_runs_what_it_left() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let items = [Item::new(), Item::new()];
        let new = Item::new();
        let queued = new.work.0;
        become_cpu(Some(1));
        for item in &items {
            nmi.queue(item.work.0, Urgency::Now).unwrap();
        }
        nmi.go_offline().unwrap();
        nmi.platform.work_interrupts[1].swap(false, Ordering::AcqRel);
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            nmi.come_online().unwrap();
            nmi.run_work();
            nmi.queue(queued, Urgency::Now).unwrap();
            take_work_interrupt(nmi);
        });
        become_cpu(Some(0));
        nmi.run_work();
        other_cpu.join().unwrap();
        assert!(items.iter().all(|item| item.runs() == 1));
        assert_eq!(new.runs(), 1);
    });
}
