// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a send promises.

use super::{
    scene::scene,
    world::{CPUS, World, become_cpu, served, take_nmi},
};
use crate::{Outcome, Request, RingError, SendError, primitive::Ordering};

#[test]
fn every_send_rings_and_one_nmi_takes_all() {
    let world = World::new();
    let nmi = world.nmi;
    for _ in 0..10 {
        nmi.send(1, Request::Call).unwrap();
    }
    nmi.send(1, Request::Backtrace).unwrap();
    assert_eq!(nmi.platform.rung[1].load(Ordering::Relaxed), 11);
    become_cpu(Some(1));
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    assert_eq!((served(nmi, Request::Call), served(nmi, Request::Backtrace)), (10, 1));
    assert_eq!(nmi.cpu_stats(1).unwrap().requests, 11);
    assert_eq!(nmi.unfinished_sends(1), Some(0));
    for _ in 0..10 {
        assert_eq!(
            take_nmi(nmi),
            Outcome::Absorbed,
            "eleven rings, of which one brought the first"
        );
    }
    assert_eq!(take_nmi(nmi), Outcome::Unknown, "nothing is left");
}

#[test]
fn a_send_is_refused_with_a_reason() {
    let world = World::before_init();
    assert_eq!(world.nmi.send(0, Request::Call), Err(SendError::NotInitialised));
    let world = World::new();
    assert_eq!(world.nmi.send(CPUS, Request::Call), Err(SendError::NoSuchCpu { cpu: CPUS }));
    for request in [Request::Probe, Request::Selftest] {
        assert_eq!(world.nmi.send(1, request), Err(SendError::ToSelfOnly(request)));
        assert_eq!(world.nmi.send(0, request), Ok(()));
    }
}

#[test]
fn a_saturated_counter_sends_nothing() {
    let world = World::new();
    let nmi = world.nmi;
    let accepted = (0..).take_while(|_| nmi.send(0, Request::Selftest).is_ok()).count();
    assert_eq!(nmi.send(0, Request::Selftest), Err(SendError::Saturated(Request::Selftest)));
    assert_eq!(nmi.platform.rung[0].load(Ordering::Relaxed), accepted);
    take_nmi(nmi);
    assert_eq!(served(nmi, Request::Selftest), accepted);
    assert_eq!(nmi.unfinished_sends(0), Some(0));
}

#[test]
fn a_request_whose_ring_failed_waits_for_the_next_nmi() {
    let world = World::new();
    let nmi = world.nmi;
    *nmi.platform.ring_fails.lock().unwrap() = Some(RingError::Busy);
    assert_eq!(nmi.send(0, Request::Call), Err(SendError::NotRung(RingError::Busy)));
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    assert_eq!(served(nmi, Request::Call), 1);
    assert_eq!(nmi.unfinished_sends(0), Some(0));
}

/// Nobody knows that its ring is not to come. So it stays granted for as long as that of a send
/// which rang, and one NMI that nothing explains is taken for it.
#[test]
fn a_request_whose_ring_failed_may_hide_one_unknown() {
    let scene = scene();
    let nmi = scene.world.nmi;
    for waits in [false, true] {
        *nmi.platform.ring_fails.lock().unwrap() = Some(RingError::Busy);
        assert_eq!(nmi.send(0, Request::Call), Err(SendError::NotRung(RingError::Busy)));
        scene.pmi.0.raise();
        assert_eq!(take_nmi(nmi), Outcome::Claimed, "an NMI of another source takes it");
        if waits {
            scene.tick_after_us(1_000);
        }
        let expected = if waits { Outcome::Unknown } else { Outcome::Absorbed };
        assert_eq!([take_nmi(nmi), take_nmi(nmi)], [expected, Outcome::Unknown]);
    }
}
