// SPDX-License-Identifier: MIT OR Apache-2.0
//! A true unknown is never said, or said in words by which no kernel panics.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    vec::Vec,
};

use super::{Amid, Machine, on, polled};
use crate::{
    Class, Doorbell, EdgeModel, HandlerSpec, InterruptState, Nmi, Outcome, Platform,
    PlatformDelivery, Request, UnknownKind, UnknownPolicy,
    primitive::{Counter, Ordering},
    tests::{
        scene::scene,
        world::{Leaked, TestPlatform, become_cpu, before_next_ring, take_nmi},
    },
};

/// A Platform handler never returns, and the edges of another CPU wait for the end of its poll for
/// ever: none of 60 presses in a minute is reported, and no kernel panics on one.
#[test]
fn fault_6_a_platform_handler_that_never_returns_hides_unknowns_elsewhere() {
    for policy in [UnknownPolicy::Report, UnknownPolicy::Panic] {
        let polled = polled(2, PlatformDelivery::All);
        let nmi = polled.world.nmi;
        nmi.set_unknown_policy(policy);
        let (reports, panics) = (Arc::new(Counter::new(0)), Arc::new(Counter::new(0)));
        let (reported, panicked) = (reports.clone(), panics.clone());
        polled.amid.0.next(move || {
            let mut machine = Machine { stuck: Some(1), ..Machine::new(nmi) };
            on(nmi, 0, || {
                for _ in 0..60 {
                    take_nmi(nmi);
                    machine.run_ms(1_000);
                }
            });
            reported.store(nmi.platform.unknowns.lock().unwrap().len(), Ordering::Relaxed);
            let left = nmi.platform.left.lock().unwrap();
            let panics = left.iter().filter(|(_, due, _)| due.panic_on_unknown()).count();
            panicked.store(panics, Ordering::Relaxed);
        });
        on(nmi, 1, || take_nmi(nmi));
        let told = reports.load(Ordering::Relaxed);
        assert!(told >= 58, "{told} of 60 presses are reported");
        let panics = panics.load(Ordering::Relaxed);
        assert!(policy == UnknownPolicy::Report || panics >= 58, "{panics} of 60 panic");
    }
}

/// A Platform handler never returns, and the clock is reset while an edge of another CPU waits for
/// the end of its poll: the edge waits until the clock shows as much as before.
#[test]
fn an_edge_that_waits_does_not_wait_for_a_clock_that_was_reset() {
    let polled = polled(2, PlatformDelivery::All);
    let nmi = polled.world.nmi;
    polled.world.wait_us(3_600_000_000);
    let reports = Arc::new(Counter::new(0));
    let reported = reports.clone();
    polled.amid.0.next(move || {
        let mut machine = Machine { stuck: Some(1), ..Machine::new(nmi) };
        on(nmi, 0, || {
            assert_eq!(take_nmi(nmi), Outcome::Deferred);
            nmi.platform.ticks.store(0, Ordering::Relaxed);
            machine.run_ms(100);
        });
        reported.store(nmi.platform.unknowns.lock().unwrap().len(), Ordering::Relaxed);
    });
    on(nmi, 1, || take_nmi(nmi));
    assert_eq!(reports.load(Ordering::Relaxed), 1);
}

/// Edges that polls of another CPU explain, though those poll for a ring that goes elsewhere, are
/// not rationed: 20,000 in 20 s, and the kernel is told of none.
#[test]
fn fault_7_an_edge_that_a_poll_elsewhere_explains_is_not_rationed() {
    let polled = polled(2, PlatformDelivery::Cpus(&[1]));
    let nmi = polled.world.nmi;
    let mut machine = Machine::new(nmi);
    for _ in 0..20_000 {
        polled.external.0.raise();
        polled.defer_an_edge();
        machine.run_ms(1);
    }
    let unknown = nmi.platform.unknowns.lock().unwrap().len();
    let absorbed = nmi.platform.absorbed.lock().unwrap().len();
    assert!(unknown + absorbed >= 15, "told {unknown} unknown, {absorbed} absorbed in 20 s");
}

/// Two edges are deferred. A claim 0.9 s later explains both, and one of them takes the credit of
/// that claim's own ring: of three edges, of which one is explained, one is said to be unknown.
#[test]
fn fault_8_a_deferred_edge_is_explained_by_a_claim_0_9_s_later() {
    let polled = polled(2, PlatformDelivery::All);
    let nmi = polled.world.nmi;
    polled.amid.0.next(move || {
        on(nmi, 0, || {
            assert_eq!([take_nmi(nmi), take_nmi(nmi)], [Outcome::Deferred; 2]);
        });
    });
    on(nmi, 1, || take_nmi(nmi));
    for _ in 0..9 {
        polled.world.wait_us(100_000);
        on(nmi, 1, || take_nmi(nmi));
    }
    polled.external.0.raise();
    assert_eq!(on(nmi, 1, || take_nmi(nmi)), Outcome::Claimed);
    nmi.tick();
    assert_eq!(polled.unknowns(0), 2);
    assert_eq!(take_nmi(nmi), Outcome::Absorbed, "the ring of that claim");
}

/// A CPU that idles has seen none of the claims of the last seconds. Where one more comes, it
/// adopts all of them by the deadline of that one, and ten unknowns are explained.
#[test]
fn fault_9_claims_that_are_seconds_old_explain_new_unknowns() {
    let polled = polled(2, PlatformDelivery::All);
    let nmi = polled.world.nmi;
    for _ in 0..20 {
        polled.world.wait_us(100_000);
        polled.external.0.raise();
        assert_eq!(on(nmi, 1, || take_nmi(nmi)), Outcome::Claimed);
    }
    for _ in 0..10 {
        take_nmi(nmi);
    }
    let unknowns = polled.unknowns(0);
    assert!(unknowns >= 9, "{unknowns} of 10, of which the last claim explains one");
}

/// A CPU that idles has not seen a claim of a second ago. Its own next claim, in a poll that is
/// overdue, must not have it adopt that one by the deadline of its own.
#[test]
fn fault_9_an_own_claim_makes_none_of_before_a_new_one() {
    let polled = polled(2, PlatformDelivery::All);
    let nmi = polled.world.nmi;
    polled.external.0.raise();
    assert_eq!(on(nmi, 1, || take_nmi(nmi)), Outcome::Claimed);
    nmi.owe_poll();
    polled.world.wait_us(1_000_000);
    polled.external.0.raise();
    assert_eq!([take_nmi(nmi), take_nmi(nmi)], [Outcome::Claimed, Outcome::Unknown]);
}

/// Nor does a claim make one a new one of before the clock was reset.
#[test]
fn fault_9_a_claim_of_a_former_clock_is_none_of_now() {
    let polled = polled(2, PlatformDelivery::All);
    let nmi = polled.world.nmi;
    let claim_elsewhere = || {
        polled.external.0.raise();
        assert_eq!(on(nmi, 1, || take_nmi(nmi)), Outcome::Claimed);
    };
    polled.world.wait_us(1_000_000);
    claim_elsewhere();
    nmi.platform.ticks.store(1_000, Ordering::Relaxed);
    polled.world.wait_us(100_000);
    claim_elsewhere();
    assert_eq!([take_nmi(nmi), take_nmi(nmi)], [Outcome::Absorbed, Outcome::Unknown]);
}

/// A send to another CPU is under way while a CPU comes online: it rings the latter for nothing.
#[test]
fn a_send_elsewhere_explains_no_edge_of_a_cpu_that_comes_online() {
    let polled = polled(3, PlatformDelivery::All);
    let nmi = polled.world.nmi;
    on(nmi, 2, || nmi.go_offline()).unwrap();
    before_next_ring(move || {
        on(nmi, 2, || {
            nmi.come_online().unwrap();
            assert_eq!(take_nmi(nmi), Outcome::Unknown);
        });
    });
    nmi.send(1, Request::Call).unwrap();
    assert_eq!(polled.unknowns(2), 1);
}

/// A claim whose ring goes only to another CPU explains an edge that waited for that poll here.
#[test]
fn fault_10_a_claim_that_rings_elsewhere_explains_an_edge_here() {
    let polled = polled(2, PlatformDelivery::Cpus(&[1]));
    let nmi = polled.world.nmi;
    polled.external.0.raise();
    polled.defer_an_edge();
    Machine::new(nmi).run_ms(30);
    assert_eq!(polled.unknowns(0), 1);
}

/// The kinds of the unknown edges that were reported.
fn kinds(platform: &TestPlatform) -> Vec<UnknownKind> {
    platform.unknowns.lock().unwrap().iter().map(|report| report.kind).collect()
}

/// A CPU took a send before it rang, which has finished since. It hangs for longer than sends hold,
/// and takes a true unknown: that is a `LateSend` by a flag which says what was.
#[test]
fn fault_11_an_unknown_of_a_hung_cpu_is_a_late_send_though_none_is_unfinished() {
    let scene = scene();
    let nmi = scene.world.nmi;
    nmi.set_unknown_policy(UnknownPolicy::Panic);
    let pmi = scene.pmi.0;
    before_next_ring(move || {
        on(nmi, 0, || {
            pmi.raise();
            assert_eq!([take_nmi(nmi), take_nmi(nmi)], [Outcome::Claimed, Outcome::Absorbed]);
        });
    });
    on(nmi, 1, || nmi.send(0, Request::Call)).unwrap();
    assert_eq!(nmi.unfinished_sends(0), Some(0));
    scene.world.wait_us(20_000);
    assert_eq!(take_nmi(nmi), Outcome::Unknown);
    assert_eq!(kinds(&nmi.platform), [UnknownKind::Unexplained]);
    assert_eq!(nmi.platform.left.lock().unwrap().len(), 1, "it panics");
}

/// CPU 1 dies between a request to CPU 0, which takes it, and its ring.
fn dies_amid_a_send(nmi: &'static Nmi<TestPlatform>) {
    before_next_ring(move || {
        on(nmi, 0, || assert_eq!(take_nmi(nmi), Outcome::Claimed));
        resume_unwind(std::boxed::Box::new(()));
    });
    let died =
        on(nmi, 1, || catch_unwind(AssertUnwindSafe(|| nmi.send(0, Request::Call))).is_err());
    // SAFETY: they were on before.
    unsafe { nmi.platform.restore_interrupts(InterruptState(1)) };
    assert!(died);
    become_cpu(Some(0));
}

/// A sender dies between its request and its ring. From then on each unknown of its receiver is a
/// `LateSend`, also once the sender is marked offline, and the kernel panics on none.
#[test]
fn fault_11_a_sender_that_died_makes_all_unknowns_late_sends() {
    for is_marked in [false, true] {
        let scene = scene();
        let nmi = scene.world.nmi;
        nmi.set_unknown_policy(UnknownPolicy::Panic);
        let mut machine = Machine { stuck: Some(1), ..Machine::new(nmi) };
        dies_amid_a_send(nmi);
        machine.run_ms(5);
        if is_marked {
            // SAFETY: CPU 1 was stopped by this thread.
            unsafe { nmi.mark_offline(1) }.unwrap();
        }
        machine.run_ms(1_000);
        for _ in 0..6 {
            take_nmi(nmi);
            machine.run_ms(1_000);
        }
        let unexplained =
            kinds(&nmi.platform).iter().filter(|kind| **kind != UnknownKind::LateSend).count();
        assert!(unexplained >= 5, "{unexplained} of 6, marked: {is_marked}");
    }
}

/// One late send excuses one of two edges that are judged together.
#[test]
fn one_late_send_excuses_one_of_two_edges_on_top() {
    let local = Leaked::new(Amid::new());
    let mut scene = scene();
    let nmi = scene.world.nmi;
    let doorbell = Doorbell::Local(5);
    let spec = HandlerSpec::new("amid", Class::Local, doorbell, EdgeModel::PerCondition);
    scene.kept.push(nmi.register(&spec, local.0).unwrap());
    nmi.set_unknown_policy(UnknownPolicy::Panic);
    let mut machine = Machine { stuck: Some(1), ..Machine::new(nmi) };
    dies_amid_a_send(nmi);
    machine.run_ms(1_000);
    local.0.next(move || {
        assert_eq!([take_nmi(nmi), take_nmi(nmi)], [Outcome::Deferred; 2]);
    });
    scene.pmi.0.raise();
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    assert_eq!(kinds(&nmi.platform), [UnknownKind::LateSend, UnknownKind::Unexplained]);
    scene.kept.clear();
}
