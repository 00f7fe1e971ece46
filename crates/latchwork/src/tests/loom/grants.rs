// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machine-wide claims against the CPUs on their route.

use loom::thread;

use super::{explore, recovery::external};
use crate::{
    Class, Doorbell, EdgeModel, HandlerSpec, Outcome,
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

/// When another CPU looks, while a driver takes long to clear the status of what it claims.
#[derive(Clone, Copy, PartialEq)]
enum LooksAt {
    /// It looks at the claim when that begins, and whether that is over.
    Beginning,
    /// It has adopted the claim, and looks again when that ends.
    BeginningAndEnd,
    /// It looks when the claim ends.
    End,
}

/// The ring comes to the other CPU as late after the end of the claim as its doorbell says.
fn a_slow_claim_outside_nmis(looks_at: LooksAt) {
    explore(move || {
        let world = World::new();
        let nmi = world.nmi;
        let source = Leaked::new(Source::new());
        let edges = EdgeModel::PerEvent { late_us: 1_000, max_late_edges: 0 };
        let doorbell = Doorbell::Platform(1);
        let spec = HandlerSpec::new("late", Class::Platform, doorbell, edges);
        let kept = nmi.register(&spec, source.0).unwrap();
        world.wait_us(100_000);
        nmi.core.recovery.hot.debt.take();
        source.0.raise();
        let look = move || {
            become_cpu(Some(1));
            nmi.entering_idle();
        };
        let look_twice = move || {
            look();
            look();
        };
        let at_beginning = (looks_at == LooksAt::Beginning).then(|| thread::spawn(look_twice));
        let at_end = kept.claim_outside_nmi(|| {
            if let Some(other_cpu) = at_beginning {
                other_cpu.join().unwrap();
            }
            if looks_at == LooksAt::BeginningAndEnd {
                look();
                become_cpu(Some(0));
            }
            world.wait_us(3_000);
            source.0.clear();
            (looks_at != LooksAt::Beginning).then(|| thread::spawn(look))
        });
        if let Some(other_cpu) = at_end {
            other_cpu.join().unwrap();
        }
        world.wait_us(700);
        look();
        assert_eq!([take_nmi(nmi), take_nmi(nmi)], [Outcome::Absorbed, Outcome::Unknown]);
        become_cpu(Some(0));
        kept.remove().unwrap();
    });
}

#[test]
fn whoever_sees_a_slow_claim_outside_nmis_waits_for_its_end() {
    a_slow_claim_outside_nmis(LooksAt::Beginning);
}

#[test]
fn whoever_sees_the_end_of_a_slow_claim_outside_nmis_sees_its_deadline() {
    a_slow_claim_outside_nmis(LooksAt::BeginningAndEnd);
    a_slow_claim_outside_nmis(LooksAt::End);
}
