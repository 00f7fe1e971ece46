// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words that wrap: the clock runs past its last value while the machine works.

use super::{
    super::{
        scene::scene,
        world::{Leaked, TestPlatform, Victim, become_cpu, spec, take_nmi},
    },
    let_the_machine_run,
};
use crate::{Claim, Class, Nmi, Outcome, RemoveFailure, Request, primitive::Ordering};

/// Sets the clock so long before its last value.
fn set_before_the_wrap(nmi: &Nmi<TestPlatform>, us: usize) {
    nmi.platform.ticks.store(usize::MAX - us, Ordering::Relaxed);
}

#[test]
fn lost_events_are_found_on_either_side_of_the_wrap() {
    let scene = scene();
    let nmi = scene.world.nmi;
    set_before_the_wrap(nmi, 20_000);
    nmi.tick();
    let mut taken = [0; 2];
    for round in 1..40 {
        become_cpu(Some(0));
        scene.collapse();
        let_the_machine_run(nmi, 2, 1_100, &mut taken);
        assert!(!scene.external.0.is_raised(), "round {round}");
    }
    assert!(nmi.platform.ticks.load(Ordering::Relaxed) < 100_000, "it has wrapped");
    assert_eq!((nmi.cpu_stats(0).unwrap().unknown, nmi.cpu_stats(1).unwrap().unknown), (0, 0));
}

/// The claim comes before the wrap, the ring after it; and then the grant is over.
#[test]
fn a_grant_lasts_across_the_wrap_and_ends_behind_it() {
    for before_us in (0..400).step_by(10) {
        let scene = scene();
        let nmi = scene.world.nmi;
        set_before_the_wrap(nmi, 50_000);
        scene.pmi.0.raise();
        assert_eq!(take_nmi(nmi), Outcome::Claimed);
        nmi.tick();
        set_before_the_wrap(nmi, before_us);
        scene.pmi.0.raise();
        nmi.send(0, Request::Call).unwrap();
        nmi.send(0, Request::Call).unwrap();
        assert_eq!(take_nmi(nmi), Outcome::Claimed);
        scene.world.wait_us(150);
        assert_eq!(take_nmi(nmi), Outcome::Absorbed, "{before_us} us before");
        scene.world.wait_us(300);
        nmi.tick();
        assert_eq!(take_nmi(nmi), Outcome::Unknown, "{before_us} us before");
    }
}

#[test]
fn a_removal_keeps_its_limit_across_the_wrap() {
    let scene = scene();
    let nmi = scene.world.nmi;
    let victim = Leaked::new(Victim::new(Claim::None));
    let registration = nmi.register(&spec("victim", Class::Local), victim.0).unwrap();
    set_before_the_wrap(nmi, 2_000);
    scene.world.cpus[1].own.read.enter();
    let error = registration.remove_within_ms(5).unwrap_err();
    assert!(matches!(error.failure, RemoveFailure::StillRunning { cpu: 1, .. }));
    let ticks = nmi.platform.ticks.load(Ordering::Relaxed);
    assert!((3_000..9_000).contains(&ticks), "{ticks}");
    scene.world.cpus[1].own.read.leave();
    error.registration.remove().unwrap();
}

#[test]
fn reports_keep_their_distance_across_the_wrap() {
    let scene = scene();
    let nmi = scene.world.nmi;
    set_before_the_wrap(nmi, 50_000);
    let reports = || nmi.platform.unknowns.lock().unwrap().len();
    assert_eq!((take_nmi(nmi), reports()), (Outcome::Unknown, 1));
    scene.world.wait_us(60_000);
    assert_eq!((take_nmi(nmi), reports()), (Outcome::Unknown, 1), "60 ms later");
    scene.world.wait_us(50_000);
    assert_eq!((take_nmi(nmi), reports()), (Outcome::Unknown, 2), "110 ms later");
}
