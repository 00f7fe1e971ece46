// SPDX-License-Identifier: MIT OR Apache-2.0
//! A result that is compared with QEMU is repeatable, and depends on what the machine does.

use super::*;

const MANNER: Manner =
    Manner { cpus: 1, apic: Apic::X, recovery: Recovery::Poll, landing: Landing::AtOnce };

fn performances(manner: &Manner) -> Vec<Performance> {
    (0..100).map(|seed| perform(seed, manner).expect("it ends")).collect()
}

#[test]
fn a_sequence_is_played_the_same_each_time() {
    for cpus in [1, 2] {
        let manner = Manner { cpus, recovery: Recovery::Probe, ..MANNER };
        assert_eq!(performances(&manner), performances(&manner), "{cpus}");
    }
}

#[test]
fn nothing_is_claimed_twice_or_lost_and_each_outcome_comes() {
    for cpus in [1, 2] {
        let all = performances(&Manner { cpus, ..MANNER });
        for Performance { played, log } in &all {
            assert_eq!(played.sets, played.claims + played.left, "{log}");
            assert_eq!(played.torn, 0);
        }
        let some = |count: fn(&Played) -> usize| all.iter().any(|one| count(&one.played) != 0);
        assert!(some(|it| it.claims) && some(|it| it.absorbed), "{cpus}");
        assert!(some(|it| it.deferred) && some(|it| it.unknown), "{cpus}");
    }
}

#[test]
fn the_mode_of_the_apic_makes_no_difference() {
    for cpus in [1, 2] {
        let manner = Manner { cpus, ..MANNER };
        assert_eq!(performances(&manner), performances(&Manner { apic: Apic::X2, ..manner }));
    }
}

#[test]
fn it_is_seen_when_edges_land() {
    assert_ne!(performances(&MANNER), performances(&Manner { landing: Landing::Late, ..MANNER }));
}

#[test]
fn there_are_sequences_for_one_and_two_cpus_only() {
    for cpus in [0, 3] {
        assert!(perform(0, &Manner { cpus, ..MANNER }).is_err());
    }
}
