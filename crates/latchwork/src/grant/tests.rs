// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CPU's ledger by itself: which ring an edge takes, and what ends a ring.

use super::{
    entry::{Due, Grant},
    ledger::Ledger,
};
use crate::{
    contract::GrantKind,
    send_wait::SendWait,
    time::{LimitsInForce, Timestamp},
};

const LATE: u64 = 200;
const HOLD: u64 = 10_000;
/// For what every ring here waits that has no deadline.
const WAIT: SendWait = SendWait(1);
const CLAIM: Due = Due::After { wait: WAIT, taken: None };
const SEND: Due = Due::After { wait: WAIT, taken: Some(at(100)) };

/// A ledger of a CPU whose clock has a tick a microsecond.
struct Scene {
    ledger: Ledger,
    limits: LimitsInForce,
}

const fn at(ticks: u64) -> Timestamp {
    Timestamp::from_ticks(ticks)
}

impl Scene {
    fn new() -> Self {
        Self { ledger: Ledger::new(), limits: LimitsInForce::new() }
    }

    fn add(&self, due: Due, now: u64) {
        let grant = Grant { kind: GrantKind::Collapsed, rings: 1, due };
        self.ledger.add(grant, at(now), self.limits.in_ticks(1_000));
    }

    fn take(&self, now: u64) -> bool {
        self.ledger.take(at(now), at(now), at(now), at(now), self.limits.in_ticks(1_000)).is_some()
    }

    /// Looks again at `now`, where what was under way has finished or not. Claims that are over are
    /// due by 500.
    fn look(&self, has_finished: bool, now: u64) {
        let limits = self.limits.in_ticks(1_000);
        self.ledger.look_again(|_| has_finished, |_| at(500), || at(now), limits);
    }

    fn open(&self, open_point: u64) {
        self.ledger.note_open_point(at(open_point), at(open_point));
    }

    fn rings(&self, now: u64) -> usize {
        self.ledger.snapshot(at(now), self.limits.in_ticks(1_000)).edges.iter().sum()
    }
}

#[test]
fn an_edge_takes_the_ring_that_is_due_earliest() {
    let scene = Scene::new();
    for deadline in [300, 200, 400] {
        scene.add(Due::By(at(deadline)), 100);
    }
    assert!(scene.take(110));
    scene.open(250);
    assert_eq!(scene.rings(250), 2, "those of 300 and 400");
    scene.open(350);
    assert_eq!(scene.rings(350), 1, "that of 400");
}

#[test]
fn no_claim_moves_the_deadline_of_another() {
    let scene = Scene::new();
    scene.add(Due::By(at(300)), 100);
    scene.add(Due::By(at(900)), 200);
    scene.open(500);
    assert_eq!(scene.rings(500), 1);
    scene.open(901);
    assert_eq!(scene.rings(901), 0);
}

#[test]
fn an_open_point_drops_what_was_due_before_it_and_nothing_else() {
    let scene = Scene::new();
    for due in [Due::By(at(300)), Due::By(at(301)), CLAIM, SEND] {
        scene.add(due, 100);
    }
    scene.open(301);
    assert_eq!(scene.rings(301), 3);
}

#[test]
fn a_full_ledger_keeps_every_ring() {
    let scene = Scene::new();
    for deadline in 1..=6 {
        scene.add(Due::By(at(deadline * 100)), 50);
    }
    scene.add(CLAIM, 50);
    assert_eq!(scene.rings(50), 7);
    scene.open(101);
    assert_eq!(scene.rings(101), 7, "the ring of 100 waits with that of 200");
    scene.open(601);
    assert_eq!(scene.rings(601), 1);
}

#[test]
fn the_excuse_of_a_late_send_ends_once_its_ring_has_come() {
    for is_used in [true, false] {
        let scene = Scene::new();
        scene.add(SEND, 100);
        let written_off = 100 + HOLD;
        scene.look(false, written_off);
        assert_eq!(scene.rings(written_off), 0, "it explains nothing any more");
        let finished = written_off + 5_000;
        scene.open(finished);
        scene.look(true, finished);
        let open_point = finished + LATE + u64::from(!is_used);
        scene.open(open_point);
        assert_eq!(scene.ledger.take_late_send(at(open_point)), is_used);
        assert!(!scene.ledger.take_late_send(at(open_point)), "it has one edge");
    }
}

/// The ring comes amid the claim, or it was another edge that took it: then it is still to come.
#[test]
fn a_ring_taken_amid_its_own_claim_is_due_with_it() {
    let scene = Scene::new();
    let limits = scene.limits.in_ticks(1_000);
    scene.add(CLAIM, 100);
    assert!(scene.take(150));
    let due_of_a_late_one = || scene.ledger.due_if_late(at(400), at(290), limits);
    scene.look(false, 280);
    assert_eq!(due_of_a_late_one(), CLAIM);
    scene.look(true, 280);
    assert_eq!(due_of_a_late_one(), Due::By(at(500)));
    assert!(scene.ledger.is_empty());
}
