// SPDX-License-Identifier: MIT OR Apache-2.0
//! An event is lost, though its status lasts.

use super::{Amid, Machine, asked_last, on};
use crate::{
    Claim, Nmi, NmiContext, NmiHandler, Request, Urgency,
    primitive::{Counter, Ordering, checked::interrupt},
    tests::{
        item::Item,
        scene::{platform, scene},
        source::{Source, time_passes},
        world::{Leaked, TestPlatform, World, become_cpu, served, take_nmi, take_work_interrupt},
    },
};

/// The maker of a debt goes offline while another CPU polls, after that poll has looked at the
/// source: no CPU answers for the debt, and where the other CPU's tick is stopped nobody pays it.
#[test]
fn fault_3_the_maker_of_a_debt_goes_offline_amid_a_poll_of_another_cpu() {
    let amid = Leaked::new(Amid::new());
    let mut scene = scene();
    let nmi = scene.world.nmi;
    scene.kept.push(nmi.register(&asked_last(), amid.0).unwrap());
    let mut machine = Machine::new(nmi);
    machine.run_ms(3);
    machine.stop_tick(1);
    machine.take_raised(1);
    let (pmi, external) = (scene.pmi.0, scene.external.0);
    amid.0.next(move || {
        on(nmi, 0, || {
            pmi.raise();
            external.raise();
            take_nmi(nmi);
            nmi.go_offline().unwrap();
            nmi.run_work();
        });
    });
    on(nmi, 1, || take_nmi(nmi));
    assert!(external.is_raised() && nmi.is_online(0) == Some(false), "it went amid the poll");
    machine.run_ms(50);
    assert!(!external.is_raised(), "CPU 1 is online, and owes what CPU 0 left");
    on(nmi, 0, || nmi.come_online()).unwrap();
}

/// Two NMIs come on top of an NMI that has just stored a debt: the first pays it and the second
/// makes another. Then the one underneath notes the debt that is paid as its own. The other has no
/// maker, and on a CPU whose tick is stopped nobody pays it.
#[test]
fn fault_4_nmis_on_top_of_the_making_of_a_debt_leave_one_without_a_maker() {
    for accesses_before in 0..200 {
        let scene = scene();
        let nmi = scene.world.nmi;
        let mut machine = Machine::new(nmi);
        machine.run_ms(3);
        machine.stop_tick(0);
        machine.stop_tick(1);
        let (pmi, external) = (scene.pmi.0, scene.external.0);
        interrupt::arm(accesses_before, move || {
            time_passes(nmi, 50);
            external.raise();
            take_nmi(nmi);
            time_passes(nmi, 50);
            pmi.raise();
            external.raise();
            take_nmi(nmi);
        });
        pmi.raise();
        take_nmi(nmi);
        let came = interrupt::disarm();
        machine.run_ms(50);
        assert!(!external.is_raised(), "nobody ticks after {accesses_before} accesses");
        if !came {
            return assert!(accesses_before > 10, "only {accesses_before} accesses");
        }
    }
    panic!("the dispatch does not end");
}

/// The same where the kernel owes a poll outside NMIs.
#[test]
fn fault_4_nmis_on_top_of_a_kernel_that_owes_leave_a_debt_without_a_maker() {
    for accesses_before in 0..200 {
        let scene = scene();
        let nmi = scene.world.nmi;
        let mut machine = Machine::new(nmi);
        machine.run_ms(3);
        machine.stop_tick(0);
        machine.stop_tick(1);
        let (pmi, external) = (scene.pmi.0, scene.external.0);
        interrupt::arm(accesses_before, move || {
            time_passes(nmi, 50);
            external.raise();
            take_nmi(nmi);
            time_passes(nmi, 50);
            pmi.raise();
            external.raise();
            take_nmi(nmi);
        });
        nmi.owe_poll();
        let came = interrupt::disarm();
        machine.run_ms(50);
        assert!(!external.is_raised(), "nobody ticks after {accesses_before} accesses");
        if !came {
            return assert!(accesses_before > 5, "only {accesses_before} accesses");
        }
    }
    panic!("the call does not end");
}

/// A world in which CPU 0 runs, and nobody has started CPU 1.
fn cpu_1_is_not_started() -> World {
    let world = World::before_init();
    world.nmi.init(world.cpus).unwrap();
    world.nmi.come_online().unwrap();
    world
}

/// A send to a CPU that was never started succeeds, and is never served.
#[test]
fn fault_5_a_send_to_a_cpu_that_was_never_started_is_accepted() {
    let world = cpu_1_is_not_started();
    let nmi = world.nmi;
    let accepted = [Request::Call, Request::Backtrace, Request::Stop].map(|it| nmi.send(1, it));
    assert!(accepted.iter().all(Result::is_err), "{accepted:?}");
    assert_eq!(nmi.platform.rung[1].load(Ordering::Relaxed), 0, "it could not take it");
    become_cpu(Some(1));
    nmi.come_online().unwrap();
    become_cpu(Some(0));
    nmi.send(1, Request::Call).unwrap();
    become_cpu(Some(1));
    take_nmi(nmi);
    assert_eq!(served(nmi, Request::Call), 1);
}

/// An item that is queued on a CPU that was never started is accepted, and never runs.
#[test]
fn fault_5_an_item_is_queued_on_a_cpu_that_was_never_started() {
    for urgency in [Urgency::Now, Urgency::Lazy] {
        let item = Item::new();
        let world = cpu_1_is_not_started();
        let nmi = world.nmi;
        let accepted = nmi.queue_on(1, item.work.0, urgency);
        for _ in 0..20 {
            world.wait_us(1_000);
            nmi.run_work();
            nmi.tick();
        }
        assert_eq!(item.runs(), usize::from(accepted.is_ok()), "{urgency:?}: {accepted:?}");
    }
}

/// A Stop that was sent to a CPU before it was started parks that CPU at its first NMI.
#[test]
fn fault_5_a_stop_of_before_the_start_parks_a_cpu_at_its_first_nmi() {
    let world = cpu_1_is_not_started();
    let nmi = world.nmi;
    let _ = nmi.send(1, Request::Stop);
    become_cpu(Some(1));
    nmi.come_online().unwrap();
    take_nmi(nmi);
    assert!(nmi.platform.left.lock().unwrap().is_empty(), "it parks");
}

/// A condition in so many parts, of which each call consumes one.
struct InParts(Counter);

// SAFETY: it locks nothing, blocks nowhere, allocates nothing and is `Sync` by its own atomics.
unsafe impl NmiHandler for InParts {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        match self.0.load(Ordering::Relaxed) {
            0 => Claim::None,
            left => {
                self.0.store(left - 1, Ordering::Relaxed);
                if left == 1 { Claim::Handled } else { Claim::More }
            }
        }
    }
}

/// A CPU that went offline pays what it owes, and a handler wants more in that poll: nobody answers
/// for the debt that this leaves, and where the other CPU's tick is stopped nobody pays it.
#[test]
fn a_handler_wants_more_in_the_poll_of_a_cpu_that_went_offline() {
    let (amid, parts) = (Leaked::new(Amid::new()), Leaked::new(InParts(Counter::new(0))));
    let world = World::new();
    let nmi = world.nmi;
    let kept =
        [nmi.register(&platform(), parts.0).unwrap(), nmi.register(&asked_last(), amid.0).unwrap()];
    let mut machine = Machine::new(nmi);
    machine.run_ms(3);
    machine.stop_tick(1);
    machine.take_raised(1);
    machine.stuck = Some(0);
    parts.0.0.store(2, Ordering::Relaxed);
    // What CPU 0 leaves is told to CPU 1, which finds that it is being paid.
    amid.0.next(move || {
        on(nmi, 1, || take_work_interrupt(nmi));
    });
    on(nmi, 0, || {
        nmi.owe_poll();
        nmi.go_offline().unwrap();
        nmi.run_work();
    });
    assert_eq!(parts.0.0.load(Ordering::Relaxed), 1, "CPU 0 paid");
    machine.run_ms(50);
    assert_eq!(parts.0.0.load(Ordering::Relaxed), 0, "and CPU 1 asks for the rest");
    on(nmi, 0, || nmi.come_online()).unwrap();
    kept.into_iter().for_each(|it| it.remove().unwrap());
}

/// A CPU that is offline knows of a reason for a poll, and owes it: nobody answers for that, and
/// where the other CPU's tick is stopped nobody pays it.
#[test]
fn a_cpu_that_is_offline_owes_a_poll() {
    let reasons: [fn(&'static Nmi<TestPlatform>); 3] = [
        |nmi| nmi.owe_poll(),
        |nmi| nmi.set_boot_cpu(1).unwrap(),
        |nmi| {
            static NOTHING: Source = Source::new();
            nmi.register(&asked_last(), &NOTHING).unwrap().into_handle();
        },
    ];
    for (reason, owe) in reasons.into_iter().enumerate() {
        let scene = scene();
        let nmi = scene.world.nmi;
        let mut machine = Machine::new(nmi);
        machine.run_ms(3);
        machine.stop_tick(1);
        on(nmi, 0, || {
            nmi.go_offline().unwrap();
            nmi.run_work();
        });
        machine.take_raised(1);
        scene.external.0.raise();
        on(nmi, 0, || owe(nmi));
        machine.run_ms(50);
        assert!(!scene.external.0.is_raised(), "reason {reason}");
        on(nmi, 0, || nmi.come_online()).unwrap();
    }
}

/// An NMI brings a CPU online amid its first `come_online`, and a request is accepted for it, which
/// that call then drops as one of before.
#[test]
fn a_request_that_comes_amid_the_first_come_online_is_served() {
    for accesses_before in 0..200 {
        let world = cpu_1_is_not_started();
        let nmi = world.nmi;
        become_cpu(Some(1));
        interrupt::arm(accesses_before, move || {
            take_nmi(nmi);
            on(nmi, 0, || nmi.send(1, Request::Call)).unwrap();
        });
        nmi.come_online().unwrap();
        if !interrupt::disarm() {
            return assert!(accesses_before > 3, "only {accesses_before} accesses");
        }
        take_nmi(nmi);
        assert_eq!(served(nmi, Request::Call), 1, "after {accesses_before} accesses");
    }
    panic!("the call does not end");
}
