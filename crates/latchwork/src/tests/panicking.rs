// SPDX-License-Identifier: MIT OR Apache-2.0
//! The panic policy on several CPUs at once: one of them ends the kernel, the others stop.

use std::{sync::Arc, vec, vec::Vec};

use super::world::{TestPlatform, World, become_cpu, take_nmi};
use crate::{AfterLeave, Nmi, Outcome, Request, UnknownPolicy};

fn panicking(cpus: usize) -> World {
    let world = World::with_cpus(cpus);
    world.nmi.set_unknown_policy(UnknownPolicy::Panic);
    world
}

/// What each CPU was told after it had left: to panic, to stop, that another panics.
fn told(nmi: &Nmi<TestPlatform>) -> Vec<(usize, [bool; 3])> {
    let left = nmi.platform.left.lock().unwrap();
    let flags = |due: &AfterLeave| [due.panic_on_unknown(), due.stop(), due.panics_elsewhere()];
    left.iter().map(|(cpu, due, _)| (*cpu, flags(due))).collect()
}

const PANIC: [bool; 3] = [true, false, false];
const LOST: [bool; 3] = [false, true, true];

/// Has `inside` happen on CPU 0 when it is told to panic, once.
fn when_elected(nmi: &'static Nmi<TestPlatform>, inside: impl Fn() + Send + Sync + 'static) {
    *nmi.platform.on_leave.lock().unwrap() = Some(Arc::new(move |due: AfterLeave| {
        if due.panic_on_unknown() {
            *nmi.platform.on_leave.lock().unwrap() = None;
            inside();
        }
    }));
}

#[test]
fn one_cpu_is_told_to_panic_and_the_others_to_stop() {
    let world = panicking(3);
    let nmi = world.nmi;
    when_elected(nmi, move || {
        assert_eq!(nmi.panicking_cpu(), Some(0));
        for cpu in [1, 2] {
            become_cpu(Some(cpu));
            assert_eq!(take_nmi(nmi), Outcome::Unknown);
        }
        become_cpu(Some(0));
    });
    assert_eq!(nmi.panicking_cpu(), None);
    take_nmi(nmi);
    assert_eq!(told(nmi), [(0, PANIC), (1, LOST), (2, LOST)]);
    let reported: Vec<_> = nmi.platform.unknowns.lock().unwrap().iter().map(|it| it.cpu).collect();
    assert_eq!(reported, [0, 1, 2], "each is reported");
}

/// A kernel under test: the elected CPU comes back, and the next one may be elected.
#[test]
fn a_kernel_that_goes_on_elects_anew() {
    let world = panicking(2);
    let nmi = world.nmi;
    take_nmi(nmi);
    assert_eq!(nmi.panicking_cpu(), None);
    become_cpu(Some(1));
    take_nmi(nmi);
    take_nmi(nmi);
    assert_eq!(told(nmi), [(0, PANIC), (1, PANIC), (1, PANIC)]);
}

/// It goes back to the panic underneath, neither stopped nor sent into another.
#[test]
fn an_unknown_nmi_on_top_of_the_panic_does_nothing() {
    let world = panicking(2);
    let nmi = world.nmi;
    when_elected(nmi, move || {
        assert_eq!(take_nmi(nmi), Outcome::Unknown);
        assert_eq!(nmi.panicking_cpu(), Some(0));
    });
    take_nmi(nmi);
    assert_eq!(told(nmi), [(0, PANIC)]);
    assert_eq!(nmi.panicking_cpu(), None);
}

/// But what else is due there is done.
#[test]
fn a_stop_on_top_of_the_panic_stops() {
    let world = panicking(2);
    let nmi = world.nmi;
    when_elected(nmi, move || {
        nmi.core.cpus()[0].own.post_after_leave(AfterLeave::STOP);
        assert_eq!(take_nmi(nmi), Outcome::Unknown);
    });
    take_nmi(nmi);
    assert_eq!(told(nmi), [(0, PANIC), (0, [false, true, false])]);
}

#[test]
fn a_stop_and_a_lost_election_are_told_at_once() {
    let world = panicking(2);
    let nmi = world.nmi;
    when_elected(nmi, move || {
        become_cpu(Some(1));
        nmi.core.cpus()[1].own.post_after_leave(AfterLeave::HANDLER_ASKED);
        take_nmi(nmi);
        become_cpu(Some(0));
    });
    take_nmi(nmi);
    assert_eq!(told(nmi), vec![(0, PANIC), (1, LOST)]);
    assert!(nmi.platform.left.lock().unwrap()[1].1.handler_asked(), "nothing is lost");
    nmi.send(0, Request::Stop).unwrap();
    take_nmi(nmi);
    assert_eq!(told(nmi)[2], (0, [false, true, false]));
}

/// Another CPU reset the one that was elected, as a kernel's crash path may.
#[test]
fn an_elected_cpu_that_executes_nothing_any_more_is_elected_no_longer() {
    let world = panicking(3);
    let nmi = world.nmi;
    when_elected(nmi, move || {
        become_cpu(Some(1));
        // SAFETY: it says so of a CPU that no thread is.
        unsafe { nmi.mark_offline(2) }.unwrap();
        assert_eq!(nmi.panicking_cpu(), Some(0), "that was another");
        // SAFETY: this thread plays CPU 1 from here on, and CPU 0 does nothing but return.
        unsafe { nmi.mark_offline(0) }.unwrap();
        assert_eq!(nmi.panicking_cpu(), None);
        take_nmi(nmi);
        become_cpu(Some(0));
    });
    take_nmi(nmi);
    assert_eq!(told(nmi), [(0, PANIC), (1, PANIC)]);
}
