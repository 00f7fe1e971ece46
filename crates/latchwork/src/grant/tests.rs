// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CPU's ledger by itself: which ring an edge takes, and what ends a ring.

use super::{
    entry::{Due, Grant},
    ledger::Ledger,
};
use crate::{
    contract::GrantKind,
    edge::{Edge, Edges},
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
        self.take_for(1, now) == 1
    }

    /// Takes rings for so many edges. Returns how many found one.
    fn take_for(&self, edges: usize, now: u64) -> usize {
        let edge = Edge { arrived: at(now), seen: at(now), ..Edge::NONE };
        let mut batch = [Edges { edge, count: edges }];
        self.ledger.absorb(&mut batch, at(now), self.limits.in_ticks(1_000), |_, _| {});
        edges - batch[0].count
    }

    /// Looks again at `now`, where what was under way has finished or not. Claims that are over are
    /// due by 500.
    fn look(&self, has_finished: bool, now: u64) {
        let limits = self.limits.in_ticks(1_000);
        let finish = |wait: SendWait| if has_finished { wait } else { wait.before() };
        self.ledger.look_again(finish, |_| at(500), || at(now), limits);
    }

    fn open(&self, open_point: u64) {
        let limits = self.limits.in_ticks(1_000);
        self.ledger.note_open_point(at(open_point), at(open_point), limits);
    }

    fn leave(&self, arrived: u64, left: u64) {
        self.ledger.note_leave(at(arrived), at(left), true, self.limits.in_ticks(1_000));
    }

    fn take_late_send(&self, now: u64) -> bool {
        self.ledger.take_late_sends(1, at(now), self.limits.in_ticks(1_000)) == 1
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

/// An NMI adds a ring that was due before its clock was read, and that waits in the latch since.
#[test]
fn an_nmi_that_adds_a_ring_is_no_open_point_at_its_own_end() {
    let scene = Scene::new();
    scene.add(Due::By(at(150)), 200);
    scene.leave(200, 210);
    assert_eq!(scene.rings(210), 1, "it comes next");
    scene.leave(220, 300);
    assert_eq!(scene.rings(300), 0);
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
        let take = || scene.ledger.take_late_sends(2, at(open_point), scene.limits.in_ticks(1_000));
        assert_eq!((take(), take()), (usize::from(is_used), 0), "it has one edge");
    }
}

/// Its edge took the ring of a second send, so that one's edge is the one that nothing explains.
#[test]
fn the_excuse_of_a_late_send_lasts_for_what_its_edge_took() {
    for is_used in [true, false] {
        let scene = Scene::new();
        let second = SendWait(2);
        scene.add(SEND, 100);
        scene.look(false, 100 + HOLD);
        scene.add(Due::After { wait: second, taken: Some(at(11_000)) }, 11_000);
        assert!(scene.take(11_000));
        let look = |finished: SendWait, now| {
            let limits = scene.limits.in_ticks(1_000);
            let finish = |wait: SendWait| if wait.is_before(finished) { wait } else { finished };
            scene.ledger.look_again(finish, |_| at(now), || at(now), limits);
        };
        look(WAIT, 11_100);
        scene.open(12_000);
        look(second, 12_100);
        scene.open(12_100 + LATE + u64::from(!is_used));
        assert_eq!(scene.take_late_send(13_000), is_used);
    }
}

#[test]
fn of_two_sends_that_wait_for_the_same_an_edge_takes_the_one_that_is_written_off_first() {
    let scene = Scene::new();
    for taken in [5_000, 100] {
        scene.add(Due::After { wait: WAIT, taken: Some(at(taken)) }, 5_000);
    }
    assert!(scene.take(6_000));
    scene.look(false, 100 + HOLD);
    assert_eq!(scene.rings(100 + HOLD), 1, "it was taken at 5,000");
}

/// The ring comes amid the claim, or it was another edge that took it: then it is still to come.
#[test]
fn a_ring_taken_amid_its_own_claim_is_due_with_it() {
    let scene = Scene::new();
    let limits = scene.limits.in_ticks(1_000);
    scene.add(CLAIM, 100);
    assert!(scene.take(150));
    let due_of_a_late_one = || scene.ledger.floor(at(290), limits).due_if_late(at(400));
    scene.look(false, 280);
    assert_eq!(due_of_a_late_one(), CLAIM);
    scene.look(true, 280);
    assert_eq!(due_of_a_late_one(), Due::By(at(500)));
    assert!(scene.ledger.is_empty());
}

/// One step for many edges takes what as many steps would.
#[test]
fn many_edges_take_their_rings_in_one_step() {
    for edges in 0..=9 {
        let (all, one_by_one) = (Scene::new(), Scene::new());
        for scene in [&all, &one_by_one] {
            for (place, due) in [Due::By(at(300)), SEND, Due::By(at(200)), CLAIM].iter().enumerate()
            {
                for _ in 0..=place.min(2) {
                    scene.add(*due, 100);
                }
            }
        }
        let found = all.take_for(edges, 150);
        let singly = (0..edges).filter(|_| one_by_one.take(150)).count();
        assert_eq!((found, found), (singly, edges.min(9)));
        for scene in [&all, &one_by_one] {
            scene.look(true, 160);
        }
        for deadline in [200, 300, 360, 500] {
            for scene in [&all, &one_by_one] {
                scene.open(deadline + 1);
            }
            assert_eq!(all.rings(deadline + 1), one_by_one.rings(deadline + 1));
        }
        assert_eq!(
            all.ledger.floor(at(170), all.limits.in_ticks(1_000)).due_if_late(at(170)),
            one_by_one.ledger.floor(at(170), all.limits.in_ticks(1_000)).due_if_late(at(170)),
        );
    }
}
