// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handlers that never have enough: [`Claim::More`](crate::Claim::More) for ever.

use super::{
    super::{
        scene::{local, platform},
        world::{Leaked, TestPlatform, World, become_cpu, take_nmi, take_work_interrupt},
    },
    let_the_machine_run, take_what_was_raised,
};
use crate::{
    Claim, Class, HandlerSpec, Nmi, NmiContext, NmiHandler, Outcome, RingError, StormSource,
    primitive::{Counter, Ordering},
};

/// Wants more for so many calls.
struct Wants {
    calls: Counter,
    more: usize,
}

impl Wants {
    fn leaked(more: usize) -> Leaked<Self> {
        Leaked::new(Self { calls: Counter::new(0), more })
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

// SAFETY: it locks nothing, blocks nowhere, allocates nothing and is `Sync` by its own atomics.
unsafe impl NmiHandler for Wants {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        match self.calls.fetch_add(1, Ordering::Relaxed) {
            calls if calls < self.more => Claim::More,
            calls if calls == self.more => Claim::Handled,
            _ => Claim::None,
        }
    }
}

fn rung(nmi: &Nmi<TestPlatform>, cpu: usize) -> usize {
    nmi.platform.rung[cpu].load(Ordering::Relaxed)
}

/// The CPU runs other code between two NMIs, the kernel is told of the storm, and once the handler
/// is gone the NMIs end.
#[test]
fn a_local_handler_that_always_wants_more_lets_its_cpu_go_on() {
    let world = World::new();
    let nmi = world.nmi;
    let handler = Wants::leaked(usize::MAX);
    let kept = nmi.register(&local().storm_above(20), handler.0).unwrap();
    take_nmi(nmi);
    for round in 1..500 {
        assert_eq!((rung(nmi, 0), handler.0.calls()), (round - 1, round), "none by itself");
        take_work_interrupt(nmi);
        assert_eq!(rung(nmi, 0), round, "one for each that was taken");
        assert_eq!(take_nmi(nmi), Outcome::Claimed);
    }
    let storms = nmi.platform.storms.lock().unwrap();
    assert_eq!((storms.len(), storms[0].1.source), (1, StormSource::Handler(kept.id())));
    drop(storms);
    kept.remove().unwrap();
    let mut taken = [rung(nmi, 0), 0];
    take_what_was_raised(nmi, 0, &mut taken);
    let_the_machine_run(nmi, 5, 1_100, &mut taken);
    let stats = nmi.cpu_stats(0).unwrap();
    assert_eq!((stats.unknown, rung(nmi, 0)), (0, 500), "the last one was on its way");
    assert!(!nmi.platform.storms.lock().unwrap().last().unwrap().0, "the storm is over");
}

#[test]
fn a_platform_handler_that_always_wants_more_is_asked_once_a_tick_period() {
    let world = World::new();
    let nmi = world.nmi;
    let handler = Wants::leaked(usize::MAX);
    let kept = nmi.register(&platform(), handler.0).unwrap();
    take_nmi(nmi);
    let before = handler.0.calls();
    let_the_machine_run(nmi, 50, 1_100, &mut [0; 2]);
    let asked = handler.0.calls() - before;
    assert!((45..=50).contains(&asked), "{asked} times in 50 periods");
    become_cpu(Some(0));
    kept.remove().unwrap();
    assert_eq!(nmi.cpu_stats(0).unwrap().unknown, 0);
}

/// What it left is an event of the machine. Another CPU finds it.
#[test]
fn a_platform_handler_that_wants_more_is_asked_again_though_its_cpu_goes_offline() {
    for asked_by_tick in [false, true] {
        let world = World::new();
        let nmi = world.nmi;
        let handler = Wants::leaked(1);
        let kept = nmi.register(&platform(), handler.0).unwrap();
        if asked_by_tick {
            world.wait_us(1_100);
            nmi.tick();
        } else {
            assert_eq!(take_nmi(nmi), Outcome::Claimed);
            // What the registration owed is paid by that.
        }
        assert_eq!(handler.0.calls(), 1);
        nmi.go_offline().unwrap();
        let mut taken = [rung(nmi, 0), 0];
        let_the_machine_run(nmi, 3, 1_100, &mut taken);
        assert!(handler.0.calls() >= 2, "asked by a tick: {asked_by_tick}");
        kept.remove().unwrap();
    }
}

/// A CPU that runs its work after it went offline, as it should, does not lose it either.
#[test]
fn a_local_handler_that_wants_more_is_asked_again_when_its_cpu_is_back() {
    let world = World::new();
    let nmi = world.nmi;
    let handler = Wants::leaked(1);
    let kept = nmi.register(&local(), handler.0).unwrap();
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    nmi.go_offline().unwrap();
    nmi.run_work();
    assert_eq!(rung(nmi, 0), 0);
    nmi.come_online().unwrap();
    nmi.run_work();
    assert_eq!(rung(nmi, 0), 1);
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    assert_eq!(handler.0.calls(), 2);
    kept.remove().unwrap();
}

#[test]
fn a_local_handler_that_wants_more_is_asked_again_though_the_ring_failed() {
    let world = World::new();
    let nmi = world.nmi;
    let handler = Wants::leaked(1);
    let kept = nmi.register(&local(), handler.0).unwrap();
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    *nmi.platform.ring_fails.lock().unwrap() = Some(RingError::Busy);
    take_work_interrupt(nmi);
    *nmi.platform.ring_fails.lock().unwrap() = None;
    world.wait_us(1_100);
    nmi.tick();
    assert_eq!(rung(nmi, 0), 1, "the tick tries again");
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    assert_eq!(handler.0.calls(), 2);
    world.wait_us(1_100);
    nmi.tick();
    assert_eq!(rung(nmi, 0), 1, "and only once");
    kept.remove().unwrap();
}

/// Its CPU does not tick, and asks for one.
#[test]
fn a_cpu_does_not_sleep_over_a_handler_that_wants_more_and_could_not_be_rung_for() {
    let world = World::new();
    let nmi = world.nmi;
    let handler = Wants::leaked(1);
    let kept = nmi.register(&local(), handler.0).unwrap();
    nmi.tick_stopped();
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    *nmi.platform.ring_fails.lock().unwrap() = Some(RingError::Busy);
    take_work_interrupt(nmi);
    assert_eq!(nmi.platform.ticks_wanted.load(Ordering::Relaxed), 1);
    kept.remove().unwrap();
}

/// `Platform::interrupt_for_work` says that what cannot be raised waits for the tick.
#[test]
fn a_local_handler_that_wants_more_is_asked_again_though_no_interrupt_could_be_raised() {
    let world = World::new();
    let nmi = world.nmi;
    let handler = Wants::leaked(1);
    let kept = nmi.register(&local(), handler.0).unwrap();
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    nmi.platform.work_interrupts[0].swap(false, Ordering::AcqRel);
    nmi.tick();
    assert_eq!((rung(nmi, 0), take_nmi(nmi)), (1, Outcome::Claimed));
    assert_eq!(handler.0.calls(), 2);
    kept.remove().unwrap();
}

/// It is asked about an edge that nothing explains, so there is no later NMI for it: more is as
/// good as handled.
#[test]
fn of_a_handler_of_last_resort_more_is_no_more_than_handled() {
    let world = World::new();
    let nmi = world.nmi;
    let handler = Wants::leaked(usize::MAX);
    let resort = HandlerSpec { class: Class::Unknown, ..local() };
    let kept = nmi.register(&resort, handler.0).unwrap();
    for asked in 1..=100 {
        assert_eq!(take_nmi(nmi), Outcome::Claimed);
        assert_eq!(handler.0.calls(), asked);
    }
    let_the_machine_run(nmi, 3, 1_100, &mut [0; 2]);
    assert_eq!((rung(nmi, 0), handler.0.calls()), (0, 100));
    become_cpu(Some(0));
    kept.remove().unwrap();
}
