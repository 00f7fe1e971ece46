// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which sequences the crate generates, and what it logs of them, on a machine that has neither the
//! library nor NMIs that wait.

extern crate std;

use core::{cell::Cell, mem::Discriminant};
use std::{collections::HashSet, string::ToString, vec::Vec};

use crate::{
    At, Counts, Deed, Ending, Player, Sequence, Source, Subject, generate, log::Log,
    time::MAX_PAUSES,
};

const SEEDS: u64 = 2_000;

fn sequences(cpus: usize) -> impl Iterator<Item = Sequence> {
    (0..SEEDS).map(move |seed| generate(seed, cpus))
}

fn deeds(cpus: usize) -> HashSet<Discriminant<Deed>> {
    let steps = sequences(cpus).flat_map(|sequence| sequence.steps().collect::<Vec<_>>());
    steps.map(|step| core::mem::discriminant(&step.deed)).collect()
}

#[test]
fn a_seed_stands_for_one_sequence() {
    let all: HashSet<_> = sequences(2).map(|sequence| sequence.to_string()).collect();
    assert!(all.len() as u64 > SEEDS * 99 / 100, "{}", all.len());
    assert!(sequences(2).eq(sequences(2)));
}

#[test]
fn every_deed_comes() {
    let everything = 12;
    assert_eq!(deeds(2).len(), everything - 1, "but for the wait that outlives all");
    assert_eq!(deeds(1).len(), everything - 2, "but for staying and releasing");
}

#[test]
fn cpu_1_rings_itself_only_and_cpu_0_never_stays() {
    for step in sequences(2).flat_map(|sequence| sequence.steps().collect::<Vec<_>>()) {
        match (step.place.cpu, step.deed) {
            (0, deed) => assert_ne!(deed, Deed::Stay),
            (_, Deed::Send(to) | Deed::Ring(to) | Deed::Raise(Source::Local, to)) => {
                assert_eq!(to, 1, "{step}");
            }
            (_, Deed::Raise(source, _)) => assert!(!source.rings(0, 1, 2), "{step}"),
            (_, deed) => assert_ne!(deed, Deed::Release),
        }
    }
}

#[test]
fn threads_come_first_and_pauses_are_few() {
    for sequence in sequences(1).chain(sequences(2)) {
        let is_of_thread: Vec<_> =
            sequence.steps().map(|step| step.place.at == At::Thread).collect();
        assert!(is_of_thread.is_sorted_by(|one, next| one >= next));
        let pauses = sequence.steps().filter(|step| step.deed == Deed::Pause).count();
        assert!(pauses <= MAX_PAUSES, "{sequence}");
    }
}

#[test]
fn what_does_not_fit_into_a_log_is_counted() {
    let log = Log::new();
    log.note(format_args!("short"));
    assert_eq!((log.torn(), log.to_string().as_str()), (0, "short"));
    log.note(format_args!("{}", "long".repeat(20)));
    assert_eq!(log.torn(), 1);
    (0..400).for_each(|_| log.note(format_args!("x")));
    assert_eq!(log.torn(), 3);
    log.clear();
    assert_eq!((log.torn(), log.to_string().as_str()), (0, ""));
}

/// A CPU that handles each NMI as soon as it comes, and in the next one everything that rang
/// meanwhile.
struct Toy<'a> {
    player: &'a Player,
    is_rung: Cell<bool>,
    in_nmi: Cell<bool>,
}

impl Toy<'_> {
    fn take_nmis(&self) {
        while !self.in_nmi.get() && self.is_rung.take() {
            self.in_nmi.set(true);
            self.player.nmi(self, 0, || {
                let claims = Source::ALL.map(|source| self.player.asked(self, 0, source));
                let ending = if claims.contains(&true) { Ending::Claimed } else { Ending::Unknown };
                (ending, ())
            });
            self.in_nmi.set(false);
        }
    }
}

impl Subject for Toy<'_> {
    fn send(&self, to: usize) -> bool {
        self.ring(to);
        true
    }
    fn ring(&self, _: usize) {
        self.is_rung.set(true);
        self.take_nmis();
    }
    fn owe_poll(&self) {}
    fn claim_outside_nmi(&self, _: Source, acknowledge: &mut dyn FnMut()) {
        acknowledge();
    }
    fn tick(&self) {}
    fn idle(&self) {}
    fn pass_us(&self, _: u32, _: bool) {}
    fn rest(&self, _: bool) {}
    fn wake(&self, _: usize) {}
    fn counts(&self, _: usize) -> Counts {
        Counts::default()
    }
}

#[test]
fn each_condition_is_claimed_once_or_left() {
    let player = Player::new();
    let toy = Toy { player: &player, is_rung: Cell::new(false), in_nmi: Cell::new(false) };
    let (mut claims, mut steps) = (0, 0);
    for seed in 0..SEEDS {
        player.begin(seed, 1);
        player.play(&toy, 0);
        let played = player.played();
        assert_eq!(played.sets, played.claims + played.left, "{}", player.log());
        assert!(played.dispatches <= played.rings && played.torn == 0, "{}", player.log());
        (claims, steps) = (claims + played.claims, steps + played.steps);
    }
    assert!(claims > 1_000 && steps > 10_000, "{claims} {steps}");
}

#[test]
fn a_claim_that_is_not_cleared_comes_again() {
    let player = Player::new();
    let toy = Toy { player: &player, is_rung: Cell::new(false), in_nmi: Cell::new(true) };
    player.begin(0, 1);
    assert!(!player.asked(&toy, 0, Source::Wide));
    player.forget_claim(0, Source::Wide);
    assert!(player.asked(&toy, 0, Source::Wide) && !player.asked(&toy, 0, Source::Wide));
}
