// SPDX-License-Identifier: MIT OR Apache-2.0
//! NMIs that queue, on top of whoever queues, runs, waits or stops the tick. Nothing but the
//! interrupt for work runs what they queued: so an item that nobody was told of is found missing.

use core::cell::Cell;
use std::rc::Rc;

use super::{arm, at_every_access, came};
use crate::{
    Claim, Class, Nmi, NmiContext, NmiHandler, SyncError, Urgency, Work,
    tests::{
        item::Item,
        world::{
            Leaked, TestPlatform, World, become_cpu, spec, take_all_work_interrupts, take_nmi,
            take_work_interrupt,
        },
    },
};

/// A handler that queues an item on its own CPU and one on another.
struct Queues {
    nmi: &'static Nmi<TestPlatform>,
    here: (&'static Work, Urgency),
    there: Option<&'static Work>,
}

// SAFETY: queueing is NMI-safe.
unsafe impl NmiHandler for Queues {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        let (item, urgency) = self.here;
        self.nmi.queue(item, urgency).unwrap();
        if let Some(item) = self.there {
            self.nmi.queue_on(1, item, Urgency::Now).unwrap();
        }
        Claim::Handled
    }
}

/// Runs `scene` with an NMI before every access of it in turn, whose handler queues `here` and
/// `there`.
fn while_an_nmi_queues(
    at_least: usize,
    urgency: Urgency,
    scene: impl Fn(&'static Nmi<TestPlatform>, &Item, &Item, &dyn Fn() -> bool),
) {
    at_every_access(at_least, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let (here, there) = (Item::new(), Item::new());
        let handler =
            Leaked::new(Queues { nmi, here: (here.work.0, urgency), there: Some(there.work.0) });
        let registration = nmi.register(&spec("queues", Class::Local), handler.0).unwrap();
        let has_come = Cell::new(false);
        arm(accesses_before, move || {
            take_nmi(nmi);
        });
        scene(nmi, &here, &there, &|| {
            has_come.set(came());
            has_come.get()
        });
        registration.remove().unwrap();
        has_come.get()
    });
}

/// Another item on the same lists: both run once.
#[test]
fn an_nmi_queues_while_another_item_is_queued() {
    while_an_nmi_queues(20, Urgency::Now, |nmi, here, there, came| {
        let (mine, remote) = (Item::new(), Item::new());
        nmi.queue(mine.work.0, Urgency::Now).unwrap();
        nmi.queue_on(1, remote.work.0, Urgency::Now).unwrap();
        let nested = usize::from(came());
        take_all_work_interrupts(nmi);
        assert_eq!((mine.runs(), remote.runs()), (1, 1));
        assert_eq!((here.runs(), there.runs()), (nested, nested));
    });
}

/// Queueing has few accesses, whatever others do: there is no loop in it.
#[test]
fn queueing_takes_few_accesses() {
    let world = World::new();
    let nmi = world.nmi;
    let (mine, others) = (Item::new(), [Item::new(), Item::new()]);
    for other in &others {
        nmi.queue_on(1, other.work.0, Urgency::Now).unwrap();
    }
    arm(14, || unreachable!("queueing has more than 14 accesses"));
    nmi.queue_on(1, mine.work.0, Urgency::Now).unwrap();
    assert!(!came());
}

/// The interrupt for work comes in the gap, as it does to a producer on another CPU: it stops
/// there, and the producer has all run that stands behind it.
#[test]
fn a_list_is_run_in_the_gap_of_its_producer() {
    let gaps = Cell::new(0);
    at_every_access(10, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let (mine, behind) = (Item::new(), Item::new());
        let item = behind.work.0;
        arm(accesses_before, move || {
            nmi.queue_on(1, item, Urgency::Now).unwrap();
            become_cpu(Some(1));
            take_work_interrupt(nmi);
            become_cpu(Some(0));
        });
        nmi.queue_on(1, mine.work.0, Urgency::Now).unwrap();
        let nested = came();
        take_all_work_interrupts(nmi);
        assert_eq!((mine.runs(), behind.runs()), (1, usize::from(nested)));
        nested
    });
    at_every_access(10, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let (first, mine) = (Item::new(), Item::new());
        nmi.queue_on(1, first.work.0, Urgency::Now).unwrap();
        arm(accesses_before, move || {
            become_cpu(Some(1));
            take_work_interrupt(nmi);
            become_cpu(Some(0));
        });
        nmi.queue_on(1, mine.work.0, Urgency::Now).unwrap();
        let interrupted = came();
        gaps.set(gaps.get() + usize::from(interrupted && first.runs() == 0));
        take_all_work_interrupts(nmi);
        assert_eq!((first.runs(), mine.runs()), (1, 1));
        interrupted
    });
    assert!(gaps.get() > 0, "no run met a gap");
}

/// The same item, idle or queued: it runs once or twice, and after each `true`.
#[test]
fn an_nmi_queues_the_item_that_is_being_queued() {
    at_every_access(10, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let item = Item::new();
        let queued = item.work.0;
        let answers = Rc::new(Cell::new(0));
        let counted = Rc::clone(&answers);
        arm(accesses_before, move || {
            counted.set(counted.get() + usize::from(nmi.queue(queued, Urgency::Now).unwrap()));
        });
        let mine = nmi.queue(queued, Urgency::Now).unwrap();
        let nested = came();
        take_all_work_interrupts(nmi);
        assert_eq!(usize::from(mine) + answers.get(), 1);
        assert_eq!(item.runs(), 1);
        nested
    });
}

/// A list that is being run: what comes meanwhile runs once, now or at its own interrupt.
#[test]
fn an_nmi_queues_while_a_list_is_run() {
    for urgency in [Urgency::Now, Urgency::Lazy] {
        while_an_nmi_queues(30, urgency, |nmi, here, there, came| {
            let items = [Item::new(), Item::new()];
            for item in &items {
                nmi.queue(item.work.0, urgency).unwrap();
            }
            nmi.tick();
            let nested = usize::from(came());
            take_all_work_interrupts(nmi);
            if urgency == Urgency::Lazy {
                become_cpu(Some(0));
                nmi.tick();
            }
            assert!(items.iter().all(|item| item.runs() == 1));
            assert_eq!((here.runs(), there.runs()), (nested, nested));
        });
    }
}

/// An item is queued by an NMI at any point of its own run: it runs once more if it was not queued,
/// and what the NMI left is seen.
#[test]
fn an_nmi_queues_the_item_that_is_run() {
    for there in [false, true] {
        at_every_access(15, |accesses_before| {
            let world = World::new();
            let nmi = world.nmi;
            let item = Item::new();
            let queued = item.work.0;
            nmi.queue(queued, Urgency::Now).unwrap();
            let answers = Rc::new(Cell::new(0));
            let counted = Rc::clone(&answers);
            arm(accesses_before, move || {
                let again = nmi.queue_on(usize::from(there), queued, Urgency::Now).unwrap();
                counted.set(usize::from(again));
            });
            nmi.run_work();
            let nested = came();
            take_all_work_interrupts(nmi);
            assert_eq!(item.runs(), 1 + answers.get());
            assert!(item.work.0.is_idle());
            nested
        });
    }
}

/// A tick that stops: a lazy item is run by an interrupt, for the tick does not come again.
#[test]
fn an_nmi_queues_while_the_tick_stops() {
    while_an_nmi_queues(4, Urgency::Lazy, |nmi, here, _, came| {
        nmi.tick_stopped();
        let nested = usize::from(came());
        take_all_work_interrupts(nmi);
        assert_eq!(here.runs(), nested);
    });
}

/// A tick that starts again: the item is run by an interrupt or by the tick.
#[test]
fn an_nmi_queues_while_the_tick_restarts() {
    while_an_nmi_queues(2, Urgency::Lazy, |nmi, here, _, came| {
        nmi.tick_stopped();
        nmi.tick_restarted();
        let nested = usize::from(came());
        take_all_work_interrupts(nmi);
        become_cpu(Some(0));
        nmi.tick();
        assert_eq!(here.runs(), nested);
    });
}

/// A waiter that sees the item idle, and an NMI that queues it around that: it stays queued. In the
/// NMI itself waiting is refused.
#[test]
fn an_nmi_queues_while_somebody_waits() {
    while_an_nmi_queues(2, Urgency::Now, |nmi, here, there, came| {
        let waits_for = Item::new();
        assert_eq!(nmi.sync_work(waits_for.work.0), Ok(()));
        let nested = usize::from(came());
        take_all_work_interrupts(nmi);
        assert_eq!((here.runs(), there.runs()), (nested, nested));
    });
    struct Waits(&'static Nmi<TestPlatform>, &'static Work);
    // SAFETY: the wait is refused.
    unsafe impl NmiHandler for Waits {
        fn handle(&self, _: &NmiContext<'_>) -> Claim {
            assert!(matches!(self.0.sync_work(self.1), Err(SyncError::InDispatch(_))));
            Claim::Handled
        }
    }
    at_every_access(15, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let item = Item::new();
        let handler = Leaked::new(Waits(nmi, item.work.0));
        let registration = nmi.register(&spec("waits", Class::Local), handler.0).unwrap();
        nmi.queue(item.work.0, Urgency::Now).unwrap();
        arm(accesses_before, move || {
            take_nmi(nmi);
        });
        nmi.run_work();
        let nested = came();
        registration.remove().unwrap();
        assert_eq!(item.runs(), 1);
        nested
    });
}

/// A CPU that goes offline: what an NMI queues until then is run by the CPU itself before it
/// leaves. Afterwards its NMIs reach no handler.
#[test]
fn an_nmi_queues_while_its_cpu_goes_offline() {
    at_every_access(4, |accesses_before| {
        let world = World::new();
        let nmi = world.nmi;
        let item = Item::new();
        let handler = Leaked::new(Queues { nmi, here: (item.work.0, Urgency::Lazy), there: None });
        let registration = nmi.register(&spec("queues", Class::Local), handler.0).unwrap();
        let edges_before = nmi.cpu_stats(0).unwrap().edges;
        arm(accesses_before, move || {
            take_nmi(nmi);
        });
        nmi.go_offline().unwrap();
        let interrupted = came();
        let dispatched = nmi.cpu_stats(0).unwrap().edges - edges_before;
        nmi.run_work();
        assert_eq!(item.runs(), dispatched);
        registration.remove().unwrap();
        interrupted
    });
}
