// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machine-wide claims against the CPUs on their route.

use loom::thread;

use super::{explore, recovery::external};
use crate::{
    Outcome,
    tests::{
        source::Source,
        world::{Leaked, World, become_cpu, take_nmi},
    },
};

/// A driver claims outside an NMI while the ring arrives at another CPU: that finds the condition
/// or the claim, and the deadline with it.
#[test]
fn a_claim_outside_nmis_against_its_ring_elsewhere() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let source = Leaked::new(Source::new());
        let kept = nmi.register(&external(), source.0).unwrap();
        world.wait_us(100_000);
        nmi.core.recovery.hot.debt.take();
        source.0.raise();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            assert_ne!(take_nmi(nmi), Outcome::Unknown);
        });
        kept.claim_outside_nmi(|| source.0.clear());
        other_cpu.join().unwrap();
        kept.remove().unwrap();
    });
}

/// Two claims of one condition's, by a poll and by a driver, explain two rings on a third CPU.
#[test]
fn two_claims_at_once_explain_two_rings_elsewhere() {
    explore(|| {
        let world = World::with_cpus(3);
        let nmi = world.nmi;
        let source = Leaked::new(Source::new());
        let kept = nmi.register(&external(), source.0).unwrap();
        world.wait_us(100_000);
        nmi.core.recovery.hot.debt.take();
        nmi.owe_poll();
        world.wait_us(1_100);
        source.0.raise();
        let driver = thread::spawn(move || {
            become_cpu(Some(1));
            kept.claim_outside_nmi(|| ());
            kept
        });
        nmi.tick();
        let kept = driver.join().unwrap();
        become_cpu(Some(2));
        let outcomes = [take_nmi(nmi), take_nmi(nmi), take_nmi(nmi)];
        assert_eq!(outcomes, [Outcome::Absorbed, Outcome::Absorbed, Outcome::Unknown]);
        kept.remove().unwrap();
    });
}

/// A claim is adopted once by a CPU that looks while it is published.
#[test]
fn a_claim_is_adopted_once_however_early_it_is_seen() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let source = Leaked::new(Source::new());
        let kept = nmi.register(&external(), source.0).unwrap();
        world.wait_us(100_000);
        nmi.core.recovery.hot.debt.take();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            nmi.entering_idle();
        });
        source.0.raise();
        assert_eq!(take_nmi(nmi), Outcome::Claimed);
        other_cpu.join().unwrap();
        become_cpu(Some(1));
        nmi.entering_idle();
        assert_eq!([take_nmi(nmi), take_nmi(nmi)], [Outcome::Absorbed, Outcome::Unknown]);
        kept.remove().unwrap();
    });
}
