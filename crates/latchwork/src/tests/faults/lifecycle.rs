// SPDX-License-Identifier: MIT OR Apache-2.0
//! Storms, stops, and deferred work, where CPUs come, go and park.

use std::{
    boxed::Box,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    vec::Vec,
};

use super::{Amid, Machine, asked_last, on};
use crate::{
    Claim, Class, InterruptState, Interrupted, Mode, Nmi, NmiContext, NmiHandler, OpaqueFrame,
    Outcome, Platform, Request, RingError, StormSource, Urgency,
    primitive::{AtomicBool, AtomicUsize, Counter, Ordering, checked::interrupt},
    tests::{
        item::Item,
        scene::{local, scene},
        source::Source,
        world::{Leaked, TestPlatform, Victim, World, become_cpu, spec, take_nmi},
    },
};

impl World {
    /// Whether each storm began, and whose it is.
    fn told_storms(&self) -> Vec<(bool, StormSource)> {
        let storms = core::mem::take(&mut *self.nmi.platform.storms.lock().unwrap());
        storms.into_iter().map(|(began, storm)| (began, storm.source)).collect()
    }
}

/// A storm that begins on a CPU that then goes offline: no CPU tells its end, so what the kernel
/// masked stays masked.
#[test]
fn fault_26_the_storm_of_a_cpu_that_goes_offline_has_no_end() {
    for is_marked in [false, true] {
        let source = Leaked::new(Source::new());
        let world = World::new();
        let nmi = world.nmi;
        let kept = nmi.register(&local().storm_above(2), source.0).unwrap();
        let storm = StormSource::Handler(kept.id());
        on(nmi, 1, || {
            for _ in 0..3 {
                source.0.raise();
                take_nmi(nmi);
            }
            if !is_marked {
                nmi.go_offline().unwrap();
                nmi.run_work();
            }
        });
        if is_marked {
            // SAFETY: no thread is CPU 1.
            unsafe { nmi.mark_offline(1) }.unwrap();
            nmi.run_work();
        }
        Machine::new(nmi).run_ms(20);
        assert_eq!(world.told_storms(), [(true, storm), (false, storm)], "marked: {is_marked}");
        kept.remove().unwrap();
    }
}

/// A handler is removed in its storm, and its slot used again before the tick: the storm of the
/// next handler is not told, since the bit of the slot still says that there is one.
#[test]
fn fault_26_the_storm_of_a_handler_that_is_gone_hides_that_of_the_next() {
    let source = Leaked::new(Source::new());
    let world = World::new();
    let nmi = world.nmi;
    nmi.platform.ticks_per_reading.store(0, Ordering::Relaxed);
    let storm_of_another = || {
        let kept = nmi.register(&local().storm_above(2), source.0).unwrap();
        for _ in 0..3 {
            source.0.raise();
            take_nmi(nmi);
        }
        let storm = StormSource::Handler(kept.id());
        kept.remove().unwrap();
        storm
    };
    let (first, second) = (storm_of_another(), storm_of_another());
    Machine::new(nmi).run_ms(5);
    let told = world.told_storms();
    for storm in [first, second] {
        let of_it: Vec<_> = told.iter().filter(|(_, it)| *it == storm).map(|it| it.0).collect();
        assert_eq!(of_it, [true, false], "{storm:?} of {told:?}");
    }
}

/// Claims in two milliseconds that lie 65.536 s apart are counted as those of one.
#[test]
fn fault_26_milliseconds_that_lie_65_seconds_apart_are_one_storm() {
    let source = Leaked::new(Source::new());
    let world = World::new();
    let nmi = world.nmi;
    nmi.platform.ticks_per_reading.store(0, Ordering::Relaxed);
    let kept = nmi.register(&local().storm_above(2), source.0).unwrap();
    for _ in 0..2 {
        for _ in 0..2 {
            source.0.raise();
            take_nmi(nmi);
        }
        world.wait_us(65_536_000);
    }
    assert_eq!(world.told_storms(), []);
    kept.remove().unwrap();
}

/// A Stop that comes amid `register` parks its CPU with the writer lock in its hand, and a removal
/// on another CPU waits for it for ever.
#[test]
fn fault_27_a_stop_amid_register_parks_the_holder_of_the_writer_lock() {
    for accesses_before in 0..1_000 {
        let (victim, other) = (Leaked::new(Victim::new(Claim::None)), Leaked::new(Source::new()));
        let world = World::new();
        let nmi = world.nmi;
        let registration = nmi.register(&spec("victim", Class::Local), victim.0).unwrap();
        let to_remove = std::sync::Mutex::new(Some(registration));
        let parked = Arc::new(Counter::new(0));
        let count = parked.clone();
        *nmi.platform.on_leave.lock().unwrap() = Some(Arc::new(move |due| {
            assert!(due.stop());
            count.fetch_add(1, Ordering::Relaxed);
            let registration = to_remove.lock().unwrap().take();
            if let Some(registration) = registration {
                on(nmi, 1, || registration.remove()).unwrap();
            }
        }));
        let mut machine = Machine::new(nmi);
        interrupt::arm(accesses_before, move || {
            nmi.send(0, Request::Stop).unwrap();
            take_nmi(nmi);
        });
        let kept = nmi.register(&spec("other", Class::Local), other.0).unwrap();
        let came = interrupt::disarm();
        machine.run_ms(3);
        assert_eq!(parked.load(Ordering::Relaxed), usize::from(came), "a Stop parks, once");
        *nmi.platform.on_leave.lock().unwrap() = None;
        kept.remove().unwrap();
        if !came {
            return assert!(accesses_before > 20, "only {accesses_before} accesses");
        }
    }
    panic!("the registration does not end");
}

/// A world whose tick polls, and a Stop that comes on top of that poll.
fn a_stop_on_top_of_a_poll_of_the_tick(also: impl FnOnce() + Send + 'static) -> World {
    let amid = Leaked::new(Amid::new());
    let world = World::new();
    let nmi = world.nmi;
    let kept = nmi.register(&asked_last(), amid.0).unwrap();
    amid.0.next(move || {
        nmi.send(0, Request::Stop).unwrap();
        also();
        assert_eq!(take_nmi(nmi), Outcome::Claimed);
    });
    world.wait_us(1_100);
    nmi.tick();
    assert!(amid.0.0.lock().unwrap().is_none(), "the tick pays for the registration");
    kept.remove().unwrap();
    world
}

/// A Stop comes on top of a poll outside an NMI, and its CPU goes offline before it has parked. The
/// CPU parks for it in its next life.
#[test]
fn fault_28_a_stop_of_a_former_life_parks() {
    let world = a_stop_on_top_of_a_poll_of_the_tick(|| ());
    let nmi = world.nmi;
    let parked = nmi.platform.left.lock().unwrap().len();
    nmi.go_offline().unwrap();
    nmi.run_work();
    take_nmi(nmi);
    nmi.come_online().unwrap();
    take_nmi(nmi);
    assert_eq!(nmi.platform.left.lock().unwrap().len(), parked, "it parks after it is back");
}

/// A Stop comes on top of a poll outside an NMI, and the CPU cannot ring itself for it: it parks
/// outside an NMI, where its own NMIs are not blocked.
#[test]
fn fault_29_after_leave_runs_outside_an_nmi_where_the_ring_fails() {
    let amid = Leaked::new(Amid::new());
    let world = World::new();
    let nmi = world.nmi;
    let in_nmi = Arc::new(AtomicUsize::new(0));
    let noted = in_nmi.clone();
    *nmi.platform.on_leave.lock().unwrap() = Some(Arc::new(move |due| {
        assert!(due.stop() && nmi.in_nmi(), "it parks outside an NMI");
        noted.fetch_add(1, Ordering::Relaxed);
    }));
    let kept = nmi.register(&asked_last(), amid.0).unwrap();
    amid.0.next(move || {
        nmi.send(0, Request::Stop).unwrap();
        *nmi.platform.ring_fails.lock().unwrap() = Some(RingError::Busy);
        assert_eq!(take_nmi(nmi), Outcome::Claimed);
    });
    let mut machine = Machine::new(nmi);
    world.wait_us(1_100);
    nmi.tick();
    *nmi.platform.ring_fails.lock().unwrap() = None;
    machine.run_ms(5);
    assert_eq!(in_nmi.load(Ordering::Relaxed), 1, "it parks once it can");
    *nmi.platform.on_leave.lock().unwrap() = None;
    kept.remove().unwrap();
}

/// An Unknown handler that notes whether it is told the truth of where it is asked.
struct Where {
    nmi: &'static Nmi<TestPlatform>,
    lies: Counter,
    calls: Counter,
}

// SAFETY: it locks nothing, blocks nowhere, allocates nothing and is `Sync` by its own atomics.
unsafe impl NmiHandler for Where {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if ctx.is_outside_nmi() == self.nmi.in_nmi() {
            self.lies.fetch_add(1, Ordering::Relaxed);
        }
        Claim::None
    }
}

/// As the entry code would: with a frame.
fn take_nmi_with_a_frame(nmi: &'static Nmi<TestPlatform>) -> Outcome {
    let frame = core::ptr::NonNull::<OpaqueFrame>::dangling().as_ptr();
    let interrupted = Interrupted { ip: 1, sp: 2, fp: 3, mode: Mode::Kernel, frame, sources: None };
    // SAFETY: the thread plays a CPU in NMI context; no handler here looks at the frame.
    unsafe { nmi.dispatch(&interrupted) }
}

/// An NMI settles an edge that its CPU had deferred, and its handlers are told that they are asked
/// outside an NMI.
#[test]
fn fault_29_handlers_of_an_nmi_that_settles_are_told_that_they_are_outside() {
    let amid = Leaked::new(Amid::new());
    let mut scene = scene();
    let nmi = scene.world.nmi;
    let asked = Leaked::new(Where { nmi, lies: Counter::new(0), calls: Counter::new(0) });
    scene.kept.push(nmi.register(&asked_last(), amid.0).unwrap());
    scene.kept.push(nmi.register(&spec("where", Class::Unknown), asked.0).unwrap());
    amid.0.next(move || {
        on(nmi, 0, || assert_eq!(take_nmi_with_a_frame(nmi), Outcome::Deferred));
    });
    on(nmi, 1, || take_nmi_with_a_frame(nmi));
    on(nmi, 1, || take_nmi_with_a_frame(nmi));
    take_nmi_with_a_frame(nmi);
    assert!(asked.0.calls.load(Ordering::Relaxed) >= 3);
    assert_eq!(asked.0.lies.load(Ordering::Relaxed), 0);
    scene.kept.clear();
}

/// An item unwinds, and its CPU goes on with interrupts off.
#[test]
fn fault_30_an_item_that_unwinds_leaves_interrupts_off() {
    let item = Item::doing(|_, _| std::panic::resume_unwind(std::boxed::Box::new(())));
    let world = World::new();
    let nmi = world.nmi;
    nmi.queue(item.work.0, Urgency::Now).unwrap();
    let unwound = catch_unwind(AssertUnwindSafe(|| nmi.run_work()));
    let interrupts_are_on = nmi.platform.interrupts_are_on();
    // SAFETY: they were on before; so that the thread's next test begins as ever.
    unsafe { nmi.platform.restore_interrupts(InterruptState(1)) };
    assert!(unwound.is_err() && interrupts_are_on);
}

/// An acknowledgement outside an NMI unwinds, and its CPU goes on with interrupts off, and with a
/// claim under way for which others wait for ever.
#[test]
fn fault_30_an_acknowledgement_that_unwinds_leaves_interrupts_off() {
    for (index, is_local) in [(0, true), (1, false)] {
        let scene = scene();
        let nmi = scene.world.nmi;
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            scene.kept[index].claim_outside_nmi(|| std::panic::resume_unwind(Box::new(())))
        }));
        let interrupts_are_on = nmi.platform.interrupts_are_on();
        // SAFETY: they were on before; so that the thread's next test begins as ever.
        unsafe { nmi.platform.restore_interrupts(InterruptState(1)) };
        assert!(unwound.is_err() && interrupts_are_on, "local: {is_local}");
        assert_eq!(take_nmi(nmi), Outcome::Absorbed, "its ring");
        for _ in 0..3 {
            scene.tick_after_us(20_000);
        }
        assert!(!nmi.granted(0).unwrap().waits_for_send);
    }
}

/// An item unwinds, and those behind it on the list, and those queued later, never run.
#[test]
fn fault_30_an_item_that_unwinds_takes_those_behind_it_along() {
    let item = Item::doing(|_, _| std::panic::resume_unwind(std::boxed::Box::new(())));
    let (behind, later) = (Item::new(), Item::new());
    let world = World::new();
    let nmi = world.nmi;
    nmi.queue(item.work.0, Urgency::Now).unwrap();
    nmi.queue(behind.work.0, Urgency::Now).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| nmi.run_work())).is_err());
    // SAFETY: they were on before.
    unsafe { nmi.platform.restore_interrupts(InterruptState(1)) };
    nmi.queue(later.work.0, Urgency::Now).unwrap();
    Machine::new(nmi).run_ms(3);
    assert_eq!((behind.runs(), later.runs()), (1, 1));
}

/// An item queues itself and another one, and calls `run_work`: one outer call runs it for ever.
#[test]
fn fault_30_items_that_queue_themselves_and_call_run_work_run_for_ever() {
    const FOR_EVER: usize = 1_000;
    static RUNS: Counter = Counter::new(0);
    static STOPPED: AtomicBool = AtomicBool::new(false);
    let world = World::new();
    let nmi = world.nmi;
    let again = move |work: &'static crate::Work, _: usize| {
        if RUNS.fetch_add(1, Ordering::Relaxed) < FOR_EVER {
            nmi.queue(work, Urgency::Now).unwrap();
            nmi.run_work();
        } else {
            STOPPED.store(true, Ordering::Relaxed);
        }
    };
    let (one, other) = (Item::doing(again), Item::doing(again));
    nmi.queue(one.work.0, Urgency::Now).unwrap();
    nmi.queue(other.work.0, Urgency::Now).unwrap();
    nmi.run_work();
    let runs = RUNS.load(Ordering::Relaxed);
    assert!(runs < 10 && !STOPPED.load(Ordering::Relaxed), "{runs} runs in one call");
    RUNS.store(FOR_EVER, Ordering::Relaxed);
    Machine::new(nmi).run_ms(3);
    become_cpu(Some(0));
}
