// SPDX-License-Identifier: MIT OR Apache-2.0
//! A removal on one CPU while another takes an NMI that a second NMI interrupts, before every one
//! of its accesses.

use loom::thread;

use super::explore;
use crate::{
    Claim, Class,
    primitive::checked::interrupt,
    tests::world::{Leaked, Victim, World, become_cpu, spec, take_nmi},
};

/// More accesses than a dispatch with one handler makes. `nested::dispatch_is_covered` checks it.
const ACCESSES: usize = 32;

#[test]
fn removal_waits_for_nested_dispatches() {
    for accesses_before in 0..ACCESSES {
        explore(move || {
            let world = World::new();
            let victim = Leaked::new(Victim::new(Claim::Handled));
            let (nmi, handler) = (world.nmi, victim.0);
            let registration = nmi.register(&spec("victim", Class::Local), handler).unwrap();
            let other_cpu = thread::spawn(move || {
                become_cpu(Some(1));
                interrupt::arm(accesses_before, move || {
                    take_nmi(nmi);
                });
                take_nmi(nmi);
                interrupt::disarm();
            });
            registration.remove().unwrap();
            handler.poison();
            other_cpu.join().unwrap();
        });
    }
}
