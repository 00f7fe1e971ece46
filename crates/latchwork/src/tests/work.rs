// SPDX-License-Identifier: MIT OR Apache-2.0
//! What deferred work promises.

use core::sync::atomic::AtomicUsize;
use std::{string::ToString, sync::Mutex, sync::OnceLock, vec, vec::Vec};

use super::{
    item::Item,
    world::{
        CPUS, TestPlatform, World, become_cpu, spec, take_all_work_interrupts, take_nmi,
        take_work_interrupt,
    },
};
use crate::{
    Claim, Class, InDispatch, InterruptState, Nmi, NmiContext, NmiHandler, Platform, QueueError,
    SyncError, Urgency, Work, primitive::Ordering, tests::world::Leaked,
};

fn interrupt_is_pending(nmi: &Nmi<TestPlatform>, cpu: usize) -> bool {
    nmi.platform.work_interrupts[cpu].load(Ordering::Relaxed)
}

fn with_interrupts_off<R>(nmi: &Nmi<TestPlatform>, act: impl FnOnce() -> R) -> R {
    let before: InterruptState = nmi.platform.disable_interrupts();
    let result = act();
    // SAFETY: from the call above, on the same thread.
    unsafe { nmi.platform.restore_interrupts(before) };
    result
}

#[test]
fn an_item_can_be_a_static() {
    static RAN_ON: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    static ITEM: Work = Work::new(&note);
    fn note(cpu: usize) {
        RAN_ON.lock().unwrap().push(cpu);
    }
    let world = World::new();
    assert_eq!(world.nmi.queue(&ITEM, Urgency::Now), Ok(true));
    assert_eq!(std::format!("{ITEM:?}").matches("Queued").count(), 1);
    take_all_work_interrupts(world.nmi);
    assert_eq!(*RAN_ON.lock().unwrap(), [0]);
    assert!(ITEM.is_idle());
}

#[test]
fn now_raises_an_interrupt_and_lazy_waits_for_the_tick() {
    let world = World::new();
    let nmi = world.nmi;
    let (now, lazy) = (Item::new(), Item::new());
    nmi.queue(lazy.work.0, Urgency::Lazy).unwrap();
    assert!(!interrupt_is_pending(nmi, 0));
    nmi.queue(now.work.0, Urgency::Now).unwrap();
    assert!(interrupt_is_pending(nmi, 0));
    assert_eq!(take_work_interrupt(nmi), 1);
    assert_eq!((now.runs(), lazy.runs()), (1, 0));
    assert_eq!(nmi.tick(), 1);
    assert_eq!((now.runs(), lazy.runs()), (1, 1));
    assert_eq!((nmi.tick(), nmi.run_work()), (0, 0));
}

/// Should an interrupt have got lost, the tick makes up for it.
#[test]
fn the_tick_runs_both_lists() {
    let world = World::new();
    let (now, lazy) = (Item::new(), Item::new());
    world.nmi.queue(lazy.work.0, Urgency::Lazy).unwrap();
    world.nmi.queue(now.work.0, Urgency::Now).unwrap();
    assert_eq!(world.nmi.tick(), 2);
    assert_eq!((now.runs(), lazy.runs()), (1, 1));
}

#[test]
fn a_handler_queues_from_its_nmi() {
    struct Queues(&'static Nmi<TestPlatform>, &'static Work);
    // SAFETY: queueing is NMI-safe.
    unsafe impl NmiHandler for Queues {
        fn handle(&self, _: &NmiContext<'_>) -> Claim {
            self.0.queue(self.1, Urgency::Now).unwrap();
            assert_eq!((self.0.run_work(), self.0.tick()), (0, 0), "nothing runs in an NMI");
            let refused = self.0.sync_work(self.1);
            assert_eq!(refused, Err(SyncError::InDispatch(InDispatch { cpu: 0 })));
            Claim::Handled
        }
    }
    let world = World::new();
    let nmi = world.nmi;
    let item = Item::new();
    let handler = Leaked::new(Queues(nmi, item.work.0));
    let registration = nmi.register(&spec("queues", Class::Local), handler.0).unwrap();
    take_nmi(nmi);
    take_nmi(nmi);
    registration.remove().unwrap();
    assert_eq!(item.runs(), 0);
    assert_eq!(take_work_interrupt(nmi), 1);
    assert_eq!(item.ran_on(), [0]);
}

#[test]
fn a_queued_item_is_not_queued_again_and_stays_where_it_is() {
    let world = World::new();
    let nmi = world.nmi;
    let item = Item::new();
    assert_eq!(nmi.queue(item.work.0, Urgency::Lazy), Ok(true));
    assert_eq!(nmi.queue(item.work.0, Urgency::Lazy), Ok(false));
    assert_eq!(nmi.queue_on(1, item.work.0, Urgency::Now), Ok(false));
    take_all_work_interrupts(nmi);
    assert_eq!(item.runs(), 0);
    assert!(!item.work.0.is_idle());
    become_cpu(Some(0));
    nmi.tick();
    assert_eq!(item.ran_on(), [0]);
    assert_eq!(nmi.queue(item.work.0, Urgency::Lazy), Ok(true), "it ran, so it can come again");
    nmi.tick();
    assert_eq!(item.ran_on(), [0, 0]);
}

#[test]
fn queue_on_runs_it_there() {
    let world = World::new();
    let nmi = world.nmi;
    let (now, lazy) = (Item::new(), Item::new());
    nmi.queue_on(1, now.work.0, Urgency::Now).unwrap();
    nmi.queue_on(1, lazy.work.0, Urgency::Lazy).unwrap();
    assert!(!interrupt_is_pending(nmi, 0));
    assert_eq!((nmi.run_work(), nmi.tick()), (0, 0));
    become_cpu(Some(1));
    assert_eq!(take_work_interrupt(nmi), 1);
    assert_eq!(nmi.tick(), 1);
    assert_eq!((now.ran_on(), lazy.ran_on()), (vec![1], vec![1]));
}

#[test]
fn items_run_first_in_first_out_with_interrupts_off() {
    static ORDER: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    let world = World::new();
    let nmi = world.nmi;
    let items: Vec<Item> = (0..5)
        .map(|number| {
            Item::doing(move |_, _| {
                assert!(!nmi.platform.interrupts_are_on());
                ORDER.lock().unwrap().push(number);
            })
        })
        .collect();
    for round in 0..3 {
        for item in items.iter().cycle().skip(round).take(items.len()) {
            nmi.queue(item.work.0, Urgency::Now).unwrap();
        }
        assert_eq!(take_work_interrupt(nmi), 5);
    }
    assert!(nmi.platform.interrupts_are_on());
    assert_eq!(*ORDER.lock().unwrap(), [0, 1, 2, 3, 4, 1, 2, 3, 4, 0, 2, 3, 4, 0, 1]);
}

/// An item that queues itself runs once an interrupt and does not hold the CPU.
#[test]
fn an_item_that_queues_itself_runs_once_more_and_lets_go() {
    let world = World::new();
    let nmi = world.nmi;
    let runs_to_come = AtomicUsize::new(4);
    let item = Item::doing(move |work, _| {
        if runs_to_come.fetch_sub(1, Ordering::Relaxed) > 1 {
            assert_eq!(nmi.queue(work, Urgency::Now), Ok(true));
            assert_eq!(nmi.queue(work, Urgency::Now), Ok(false));
        }
    });
    let other = Item::new();
    nmi.queue(item.work.0, Urgency::Now).unwrap();
    nmi.queue(other.work.0, Urgency::Now).unwrap();
    for runs in 1..4 {
        take_work_interrupt(nmi);
        assert_eq!((item.runs(), other.runs()), (runs, 1));
    }
}

/// Not on two CPUs at once, and where the last of them wanted it.
#[test]
fn an_item_that_is_queued_elsewhere_while_it_runs_goes_there_afterwards() {
    let world = World::new();
    let nmi = world.nmi;
    let item = Item::doing(move |work, cpu| {
        if cpu == 0 {
            assert_eq!(nmi.queue(work, Urgency::Lazy), Ok(true));
            assert_eq!(nmi.queue_on(1, work, Urgency::Now), Ok(false));
            assert!(!interrupt_is_pending(nmi, 1), "it is still running here");
        }
    });
    nmi.queue(item.work.0, Urgency::Now).unwrap();
    take_work_interrupt(nmi);
    assert_eq!((item.ran_on(), nmi.tick()), (vec![0], 0));
    assert!(interrupt_is_pending(nmi, 1));
    take_all_work_interrupts(nmi);
    assert_eq!(item.ran_on(), [0, 1]);
    assert!(item.work.0.is_idle());
}

#[test]
fn where_the_tick_is_stopped_lazy_items_run_at_once() {
    let world = World::new();
    let nmi = world.nmi;
    let item = Item::new();
    nmi.queue(item.work.0, Urgency::Lazy).unwrap();
    nmi.tick_stopped();
    assert!(interrupt_is_pending(nmi, 0), "what was there before is told");
    assert_eq!(take_work_interrupt(nmi), 1);
    nmi.queue(item.work.0, Urgency::Lazy).unwrap();
    assert_eq!(take_work_interrupt(nmi), 1);
    nmi.tick_stopped();
    assert!(!interrupt_is_pending(nmi, 0));
    nmi.tick_restarted();
    nmi.queue(item.work.0, Urgency::Lazy).unwrap();
    assert!(!interrupt_is_pending(nmi, 0));
    assert_eq!(nmi.tick(), 1);
}

#[test]
fn queueing_is_refused_with_a_reason() {
    let item = Item::new();
    let world = World::before_init();
    assert_eq!(world.nmi.queue(item.work.0, Urgency::Now), Err(QueueError::NotInitialised));
    let world = World::new();
    let nmi = world.nmi;
    let refused = nmi.queue_on(CPUS, item.work.0, Urgency::Now);
    assert_eq!(refused, Err(QueueError::NoSuchCpu { cpu: Some(CPUS) }));
    become_cpu(Some(1));
    nmi.go_offline().unwrap();
    assert_eq!(nmi.queue(item.work.0, Urgency::Now), Err(QueueError::Offline { cpu: 1 }));
    become_cpu(None);
    let refused = nmi.queue(item.work.0, Urgency::Now);
    assert_eq!(refused, Err(QueueError::NoSuchCpu { cpu: None }));
    assert!(refused.unwrap_err().to_string().contains("no number"));
    assert_eq!(nmi.queue_on(1, item.work.0, Urgency::Now), Err(QueueError::Offline { cpu: 1 }));
    assert!(item.work.0.is_idle());
    assert_eq!((nmi.run_work(), nmi.tick()), (0, 0));
}

#[test]
fn waiting_for_an_item_is_refused_where_it_would_wait_for_itself() {
    let world = World::new();
    let nmi = world.nmi;
    let inner = Item::new();
    let waited_for: &'static Work = inner.work.0;
    let item = Item::doing(move |work, cpu| {
        assert_eq!(nmi.sync_work(work), Err(SyncError::InsideItself { cpu }));
        assert_eq!(nmi.sync_work(waited_for), Err(SyncError::InterruptsOff { cpu }));
    });
    assert_eq!(nmi.sync_work(item.work.0), Ok(()), "it is idle");
    nmi.queue(item.work.0, Urgency::Now).unwrap();
    let refused = with_interrupts_off(nmi, || nmi.sync_work(item.work.0));
    assert_eq!(refused, Err(SyncError::InterruptsOff { cpu: 0 }));
    assert!(refused.unwrap_err().to_string().contains("CPU 0"));
    assert_eq!(take_work_interrupt(nmi), 1);
    assert_eq!(nmi.sync_work(item.work.0), Ok(()));
    assert_eq!(item.runs(), 1);
}

/// An item that runs lists, by mistake, neither recurses nor loses any.
#[test]
fn a_list_that_is_being_run_is_not_entered_again() {
    static DEEPEST: OnceLock<usize> = OnceLock::new();
    let world = World::new();
    let nmi = world.nmi;
    let item = Item::doing(move |_, _| {
        DEEPEST.set(nmi.run_work()).unwrap();
    });
    let other = Item::new();
    nmi.queue(item.work.0, Urgency::Now).unwrap();
    nmi.queue(other.work.0, Urgency::Now).unwrap();
    assert_eq!(take_work_interrupt(nmi), 2);
    assert_eq!((DEEPEST.get(), other.runs()), (Some(&0), 1));
}

#[test]
fn a_cpu_that_goes_offline_runs_both_lists() {
    let world = World::new();
    let nmi = world.nmi;
    let (now, lazy) = (Item::new(), Item::new());
    nmi.queue(now.work.0, Urgency::Now).unwrap();
    nmi.queue(lazy.work.0, Urgency::Lazy).unwrap();
    nmi.go_offline().unwrap();
    assert_eq!(nmi.run_work(), 2);
    assert_eq!((now.ran_on(), lazy.ran_on()), (vec![0], vec![0]));
}

/// One that did not, or was stopped, leaves its items to whoever next has a tick.
#[test]
fn what_an_offline_cpu_left_runs_on_another() {
    for is_stopped in [false, true] {
        let world = World::new();
        let nmi = world.nmi;
        let (now, lazy) = (Item::new(), Item::new());
        become_cpu(Some(1));
        nmi.queue(now.work.0, Urgency::Now).unwrap();
        nmi.queue(lazy.work.0, Urgency::Lazy).unwrap();
        if is_stopped {
            become_cpu(Some(0));
            // SAFETY: this thread is no longer CPU 1, and nobody else is.
            unsafe { nmi.mark_offline(1) }.unwrap();
            assert_eq!(nmi.run_work(), 2);
        } else {
            nmi.go_offline().unwrap();
            become_cpu(Some(0));
            assert_eq!(nmi.tick(), 2);
        }
        assert_eq!((now.ran_on(), lazy.ran_on()), (vec![0], vec![0]));
        become_cpu(Some(1));
        nmi.come_online().unwrap();
        assert_eq!((nmi.run_work(), nmi.tick()), (0, 0));
    }
}

/// The runner puts it back on a list of a CPU that is gone meanwhile: somebody who can runs it.
#[test]
fn an_item_bound_for_a_cpu_that_went_offline_runs_elsewhere() {
    let world = World::new();
    let nmi = world.nmi;
    let item = Item::doing(move |work, _| {
        if nmi.is_online(1) == Some(true) {
            nmi.queue_on(1, work, Urgency::Lazy).unwrap();
            // SAFETY: no thread is CPU 1.
            unsafe { nmi.mark_offline(1) }.unwrap();
        }
    });
    nmi.queue(item.work.0, Urgency::Now).unwrap();
    assert_eq!(take_work_interrupt(nmi), 2, "the second one was left by CPU 1");
    assert_eq!(item.ran_on(), [0, 0]);
    assert!(item.work.0.is_idle());
}

#[test]
fn a_cpu_that_is_back_finds_what_was_left() {
    let world = World::new();
    let nmi = world.nmi;
    let item = Item::new();
    nmi.queue(item.work.0, Urgency::Now).unwrap();
    nmi.go_offline().unwrap();
    nmi.come_online().unwrap();
    assert_eq!(nmi.run_work(), 1);
    assert_eq!(item.ran_on(), [0]);
}

#[test]
fn what_is_behind_an_item_that_unwinds_raises_an_interrupt() {
    let unwinds = Item::doing(|_, _| std::panic::resume_unwind(std::boxed::Box::new(())));
    let behind = Item::new();
    let world = World::new();
    let nmi = world.nmi;
    nmi.queue(unwinds.work.0, Urgency::Now).unwrap();
    nmi.queue(behind.work.0, Urgency::Now).unwrap();
    let run = std::panic::AssertUnwindSafe(|| take_work_interrupt(nmi));
    assert!(std::panic::catch_unwind(run).is_err());
    assert_eq!((behind.runs(), unwinds.work.0.is_idle()), (0, true));
    take_work_interrupt(nmi);
    assert_eq!(behind.runs(), 1);
}
