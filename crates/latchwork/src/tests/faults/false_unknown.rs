// SPDX-License-Identifier: MIT OR Apache-2.0
//! A ring that a claim explains is said to be unknown, on which a kernel may panic.

use std::{sync::mpsc, thread, vec::Vec};

use super::{Amid, Machine, Polled, on, polled};
use crate::{
    Claim, Class, Doorbell, EdgeModel, HandlerSpec, Nmi, NmiContext, NmiHandler, Outcome,
    PlatformDelivery, Request,
    primitive::{Ordering, checked::interrupt},
    tests::{
        scene::{local, platform, scene},
        source::{Source, time_passes},
        world::{Leaked, TestPlatform, World, become_cpu, before_next_ring, take_nmi},
    },
};

fn other_local() -> HandlerSpec<'static> {
    HandlerSpec::new("other", Class::Local, Doorbell::Local(5), EdgeModel::PerCondition)
}

/// CPU 0 takes a ring of the external source while CPU 1 polls, and has to defer it. Then CPU 2
/// claims its condition outside an NMI.
fn a_deferred_ring_that_is_claimed_outside_an_nmi() -> Polled {
    let mut polled = polled(3, PlatformDelivery::All);
    let nmi = polled.world.nmi;
    let external = polled.external.0;
    let handle = polled.kept.remove(0).into_handle();
    polled.amid.0.next(move || {
        external.raise();
        on(nmi, 0, || assert_eq!(take_nmi(nmi), Outcome::Deferred));
        let claimed = on(nmi, 2, || {
            let registration = nmi.reclaim(handle).unwrap();
            let claimed = registration.claim_outside_nmi(|| external.clear());
            registration.into_handle();
            claimed
        });
        assert!(claimed);
    });
    on(nmi, 1, || take_nmi(nmi));
    polled.kept.push(nmi.reclaim(handle).unwrap());
    polled
}

/// An NMI adopts the claim that explains a deferred edge. One on top of it, between the look and
/// the grant, settles that edge and finds neither claim nor grant.
#[test]
fn fault_13_an_nmi_on_top_settles_while_the_adoption_is_half_done() {
    let (mut windows, mut accesses) = (Vec::new(), 0);
    loop {
        let sources = [Leaked::new(Source::new()), Leaked::new(Source::new())];
        let mut polled = a_deferred_ring_that_is_claimed_outside_an_nmi();
        let nmi = polled.world.nmi;
        let [one, other] = sources.each_ref().map(|it| it.0);
        polled.kept.push(nmi.register(&local(), one).unwrap());
        polled.kept.push(nmi.register(&other_local(), other).unwrap());
        interrupt::arm(accesses, move || {
            other.raise();
            take_nmi(nmi);
        });
        one.raise();
        take_nmi(nmi);
        let came = interrupt::disarm();
        polled.world.wait_us(1_000);
        nmi.tick();
        if polled.unknowns(0) != 0 {
            windows.push(accesses);
        }
        if !came {
            break;
        }
        accesses += 1;
    }
    assert!(accesses > 20 && windows.is_empty(), "unknown after {windows:?} of {accesses}");
}

/// A CPU has deferred an edge, keeps interrupts off for longer than the cap, and settles the edge
/// at its tick: the claim that explains it has ended.
#[test]
fn fault_14_a_deferred_edge_outlives_its_grant_where_interrupts_are_off() {
    let polled = a_deferred_ring_that_is_claimed_outside_an_nmi();
    polled.world.wait_us(15_000);
    polled.world.nmi.tick();
    assert_eq!(polled.unknowns(0), 0);
}

/// As before, but for a request that comes first: its NMI takes a ring of its own, and leaves that
/// of the edge that waits.
#[test]
fn fault_14_a_deferred_edge_outlives_its_grant_though_a_younger_edge_comes() {
    let polled = a_deferred_ring_that_is_claimed_outside_an_nmi();
    let nmi = polled.world.nmi;
    polled.world.wait_us(1_000_000);
    nmi.send(0, Request::Call).unwrap();
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    nmi.tick();
    assert_eq!(polled.unknowns(0), 0);
}

/// A driver takes longer than `late_us` and `cap_us` to acknowledge what it claims outside an NMI,
/// and its grant has ended when the ring comes.
#[test]
fn fault_15_a_slow_local_claim_outside_an_nmi_does_not_explain_its_ring() {
    let scene = scene();
    let nmi = scene.world.nmi;
    let pmi = scene.pmi.0;
    pmi.raise();
    scene.kept[0].claim_outside_nmi(|| {
        time_passes(nmi, 11_000);
        assert!(pmi.clear());
    });
    assert_eq!(take_nmi(nmi), Outcome::Absorbed);
}

/// A send that was posted and has not rung.
struct UnderWay {
    ring: mpsc::Sender<()>,
    sender: thread::JoinHandle<()>,
}

/// Has `cpu` send CPU 0 a request, and holds it up before it rings.
fn begin_send(nmi: &'static Nmi<TestPlatform>, cpu: usize) -> UnderWay {
    let (ring, may_ring) = mpsc::channel();
    let (post, posted) = mpsc::channel();
    let sender = thread::spawn(move || {
        become_cpu(Some(cpu));
        before_next_ring(move || {
            post.send(()).unwrap();
            may_ring.recv().unwrap();
        });
        nmi.send(0, Request::Call).unwrap();
    });
    posted.recv().unwrap();
    UnderWay { ring, sender }
}

impl UnderWay {
    fn finish(self) {
        self.ring.send(()).unwrap();
        self.sender.join().unwrap();
    }
}

/// Two CPUs send by turns, each send a millisecond long, and each is taken before it rings. None is
/// stuck. After 10 ms the receiver takes them for one that is, and a ring of theirs for unknown.
#[test]
fn fault_16_short_sends_that_overlap_are_taken_for_one_that_is_stuck() {
    let source = Leaked::new(Source::new());
    let world = World::with_cpus(3);
    let nmi = world.nmi;
    let kept = nmi.register(&local(), source.0).unwrap();
    let mut last = begin_send(nmi, 1);
    source.0.raise();
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    let half_a_send = || {
        time_passes(nmi, 500);
        nmi.tick();
    };
    for turn in 0..15 {
        half_a_send();
        let next = begin_send(nmi, 1 + (turn + 1) % 2);
        half_a_send();
        last.finish();
        assert_eq!(take_nmi(nmi), Outcome::Claimed, "the ring of the last one takes the next");
        last = next;
    }
    half_a_send();
    last.finish();
    let outcome = take_nmi(nmi);
    assert_eq!(outcome, Outcome::Absorbed, "the ring of the last one");
    kept.remove().unwrap();
}

/// So many CPUs, one after the other, send to CPU 0 and have not rung when it takes them all in one
/// NMI. Then each of them rings.
fn send_from(nmi: &'static Nmi<TestPlatform>, cpu: usize, outcomes: &mpsc::Sender<Outcome>) {
    let told = outcomes.clone();
    before_next_ring(move || match cpu {
        1 => told.send(on(nmi, 0, || take_nmi(nmi))).unwrap(),
        _ => send_from(nmi, cpu - 1, &told),
    });
    on(nmi, cpu, || nmi.send(0, Request::Call)).unwrap();
    outcomes.send(on(nmi, 0, || take_nmi(nmi))).unwrap();
}

/// One NMI takes 70 sends before any of them has rung, and of their rings the last are unknown.
#[test]
fn fault_17_more_than_63_sends_that_one_nmi_takes() {
    const SENDS: usize = 70;
    let source = Leaked::new(Source::new());
    let world = World::with_cpus(SENDS + 1);
    let nmi = world.nmi;
    let kept = nmi.register(&local(), source.0).unwrap();
    source.0.raise();
    let (outcomes, seen) = mpsc::channel();
    send_from(nmi, SENDS, &outcomes);
    drop(outcomes);
    let unknown = seen.iter().filter(|outcome| *outcome == Outcome::Unknown).count();
    assert_eq!(unknown, 0, "rings of {SENDS} sends");
    kept.remove().unwrap();
}

/// Rings that claims explain, on a clock that shows `ticks` after `before` was shown: each kind of
/// claim, and which outcome its second ring has.
fn second_rings(shown_before: u64, ticks: u64) -> [Outcome; 4] {
    let sources = [0; 3].map(|_| Leaked::new(Source::new()));
    let world = World::new();
    let nmi = world.nmi;
    let [pmi, other, external] = sources.each_ref().map(|it| it.0);
    let kept = [
        nmi.register(&local(), pmi).unwrap(),
        nmi.register(&other_local(), other).unwrap(),
        nmi.register(&platform(), external).unwrap(),
    ];
    let set_clock = |ticks: u64| nmi.platform.ticks.store(ticks as usize, Ordering::Relaxed);
    set_clock(shown_before);
    let collapsed = || {
        pmi.raise();
        other.raise();
        take_nmi(nmi);
        take_nmi(nmi)
    };
    let elsewhere = || {
        external.raise();
        on(nmi, 1, || take_nmi(nmi));
        take_nmi(nmi)
    };
    let outside = |index: usize, source: &Source| {
        source.raise();
        kept[index].claim_outside_nmi(|| source.clear());
        take_nmi(nmi)
    };
    if shown_before != ticks {
        collapsed();
        elsewhere();
        outside(0, pmi);
        outside(2, external);
        set_clock(ticks);
    }
    let outcomes = [elsewhere(), outside(2, external), collapsed(), outside(0, pmi)];
    kept.into_iter().for_each(|it| it.remove().unwrap());
    outcomes
}

/// The clock starts above half of its range, and rings that claims explain are unknown.
#[test]
fn fault_19_a_clock_that_starts_above_half_its_range() {
    for ticks in [1 << 63, u64::MAX - 1_000_000] {
        assert_eq!(second_rings(ticks, ticks), [Outcome::Absorbed; 4], "{ticks:#x}");
    }
}

/// The clock is reset while CPUs are online. Rings of claims that are made after that are unknown.
#[test]
fn fault_19_a_clock_that_is_reset_while_cpus_are_online() {
    for (before, after) in [(3_600_000_000, 1_000), (1 << 62, 1_000), (1_000, (1 << 63) + 2_000)] {
        let outcomes = second_rings(before, after);
        assert_eq!(outcomes, [Outcome::Absorbed; 4], "{before:#x} to {after:#x}");
    }
}

/// The route of a doorbell is narrowed while its ring is under way: no claim explains the ring on
/// the CPU that is not on the route any more.
#[test]
fn fault_20_a_route_is_narrowed_while_a_ring_is_in_flight() {
    let polled = polled(2, PlatformDelivery::All);
    let nmi = polled.world.nmi;
    polled.external.0.raise();
    assert_eq!(on(nmi, 1, || take_nmi(nmi)), Outcome::Claimed);
    nmi.set_delivery(polled.kept[0].id(), PlatformDelivery::Cpus(&[1])).unwrap();
    assert_eq!(take_nmi(nmi), Outcome::Absorbed);
}

/// A handler is removed and its slot used again while a ring that it claimed is under way: the
/// route of the next handler is taken for that of the claim.
#[test]
fn fault_20_a_slot_is_used_again_while_a_ring_is_in_flight() {
    let next = Leaked::new(Source::new());
    let mut polled = polled(2, PlatformDelivery::All);
    let nmi = polled.world.nmi;
    polled.external.0.raise();
    assert_eq!(on(nmi, 1, || take_nmi(nmi)), Outcome::Claimed);
    polled.kept.remove(0).remove().unwrap();
    let doorbell = Doorbell::Platform(2);
    let spec = HandlerSpec::new("next", Class::Platform, doorbell, EdgeModel::PerCondition)
        .delivery(PlatformDelivery::Cpus(&[1]));
    polled.kept.push(nmi.register(&spec, next.0).unwrap());
    assert_eq!(take_nmi(nmi), Outcome::Absorbed);
    polled.kept.clear();
}

/// A handler is removed, or its doorbell's edges change, while rings that were claimed are under
/// way: as many are explained as the doorbell had when they were claimed.
#[test]
fn rings_in_flight_are_counted_by_the_edges_that_their_doorbell_had() {
    const MESSAGE: EdgeModel = EdgeModel::PerEvent { late_us: 500, max_late_edges: 2 };
    for (before, after, rings) in
        [(MESSAGE, EdgeModel::PerCondition, 3), (EdgeModel::PerCondition, MESSAGE, 1)]
    {
        for (is_removed, is_outside) in [(true, false), (true, true), (false, false)] {
            let sources = [0; 2].map(|_| Leaked::new(Source::new()));
            let world = World::new();
            let nmi = world.nmi;
            let spec =
                |edges| HandlerSpec::new("it", Class::Platform, Doorbell::Platform(1), edges);
            let mut kept = nmi.register(&spec(before), sources[0].0).unwrap();
            sources[0].0.raise();
            on(nmi, 1, || match is_outside {
                true => assert!(kept.claim_outside_nmi(|| sources[0].0.clear())),
                false => assert_eq!(take_nmi(nmi), Outcome::Claimed),
            });
            if is_removed {
                kept.remove().unwrap();
                kept = nmi.register(&spec(after), sources[1].0).unwrap();
            } else {
                nmi.set_edge_model(kept.id(), after).unwrap();
            }
            let absorbed = (0..6).take_while(|_| take_nmi(nmi) == Outcome::Absorbed).count();
            assert_eq!(absorbed, rings, "removed: {is_removed}, outside an NMI: {is_outside}");
            kept.remove().unwrap();
        }
    }
}

/// A handler takes longer than the cap. Meanwhile another CPU claims a condition, whose ring waits
/// in the latch of the CPU that is in the handler.
#[test]
fn a_ring_that_comes_amid_a_long_handler_finds_its_claim() {
    let (counter, long) = (Leaked::new(Source::new()), Leaked::new(Amid::new()));
    let mut polled = polled(2, PlatformDelivery::All);
    let (nmi, external) = (polled.world.nmi, polled.external.0);
    polled.kept.push(nmi.register(&local(), counter.0).unwrap());
    polled.kept.push(nmi.register(&other_local(), long.0).unwrap());
    long.0.next(move || {
        external.raise();
        assert_eq!(on(nmi, 1, || take_nmi(nmi)), Outcome::Claimed);
        time_passes(nmi, 30_000);
    });
    counter.0.raise();
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    assert_eq!(take_nmi(nmi), Outcome::Absorbed);
    polled.kept.clear();
}

/// A CPU has deferred a ring, and takes the next one of that source before the poll is over that
/// its first one waits for. The second takes the ring of the first one's claim, and the first is
/// unknown, since nobody has claimed the second's condition yet.
#[test]
fn a_younger_edge_takes_the_ring_of_an_older_one_that_waits() {
    let polled = polled(2, PlatformDelivery::All);
    let (nmi, external, amid) = (polled.world.nmi, polled.external.0, polled.amid.0);
    let (tell, told) = mpsc::channel();
    let rings = move || {
        external.raise();
        tell.send(on(nmi, 0, || take_nmi(nmi))).unwrap();
    };
    amid.next(move || {
        rings();
        amid.next(rings);
    });
    assert_eq!(on(nmi, 1, || take_nmi(nmi)), Outcome::Claimed);
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [Outcome::Deferred; 2]);
    Machine::new(nmi).run_ms(5);
    assert_eq!((external.claims(), polled.unknowns(0)), (2, 0));
}

/// The same, and the second comes on top of an NMI of its CPU.
#[test]
fn a_younger_edge_on_top_takes_the_ring_of_an_older_one_that_waits() {
    let own = Leaked::new(ClaimsAmid(Amid::new()));
    let mut polled = polled(2, PlatformDelivery::All);
    let (nmi, external, amid) = (polled.world.nmi, polled.external.0, polled.amid.0);
    let local = own.0;
    polled.kept.push(nmi.register(&other_local(), local).unwrap());
    let (tell, told) = mpsc::channel();
    let rings = move || {
        external.raise();
        tell.send(take_nmi(nmi)).unwrap();
    };
    amid.next(move || {
        on(nmi, 0, rings.clone());
        amid.next(move || {
            local.0.next(rings);
            on(nmi, 0, || assert_eq!(take_nmi(nmi), Outcome::Claimed));
        });
    });
    assert_eq!(on(nmi, 1, || take_nmi(nmi)), Outcome::Claimed);
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [Outcome::Deferred; 2]);
    nmi.entering_idle();
    Machine::new(nmi).run_ms(5);
    assert_eq!((external.claims(), polled.unknowns(0)), (2, 0));
    polled.kept.clear();
}

/// A handler claims what rings twice, and the next one takes longer than two caps. The second ring
/// comes on top of it, so long before the claim is counted that it looks like none of its rings.
#[test]
fn a_ring_on_top_of_a_long_handler_finds_the_claim_underneath() {
    let (message, long) = (Leaked::new(Source::new()), Leaked::new(Amid::new()));
    let mut scene = scene();
    let nmi = scene.world.nmi;
    let model = EdgeModel::PerEvent { late_us: 300, max_late_edges: 1 };
    let spec = HandlerSpec::new("message", Class::Local, Doorbell::Local(6), model);
    scene.kept.push(nmi.register(&spec.priority(0), message.0).unwrap());
    scene.kept.push(nmi.register(&other_local().priority(255), long.0).unwrap());
    let (tell, told) = mpsc::channel();
    long.0.next(move || {
        tell.send(take_nmi(nmi)).unwrap();
        time_passes(nmi, 30_000);
    });
    message.0.raise();
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    assert_eq!(told.recv(), Ok(Outcome::Deferred));
    nmi.tick();
    assert_eq!(nmi.cpu_stats(0).unwrap().unknown, 0);
    scene.kept.clear();
}

/// Claims, having let others act between its acknowledgement and the claim.
struct ClaimsAmid(Amid);

// SAFETY: as for `Amid`.
unsafe impl NmiHandler for ClaimsAmid {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        let is_set = self.0.0.lock().unwrap().is_some();
        let _ = self.0.handle(ctx);
        if is_set { Claim::Handled } else { Claim::None }
    }
}

/// All rings that a condition may have come to a CPU amid the poll of another that claims it. Each
/// waits for the end of that poll.
#[test]
fn all_rings_of_a_condition_come_amid_the_poll_that_claims_it() {
    const RINGS: usize = 1 + EdgeModel::MOST_LATE_EDGES as usize;
    let claims = Leaked::new(ClaimsAmid(Amid::new()));
    let mut polled = polled(2, PlatformDelivery::All);
    let nmi = polled.world.nmi;
    let max_late_edges = EdgeModel::MOST_LATE_EDGES;
    let edges = EdgeModel::PerEvent { late_us: 500, max_late_edges };
    let spec = HandlerSpec::new("message", Class::Platform, Doorbell::Platform(2), edges);
    polled.kept.push(nmi.register(&spec, claims.0).unwrap());
    claims.0.0.next(move || {
        on(nmi, 0, || {
            let deferred = (0..RINGS).filter(|_| take_nmi(nmi) == Outcome::Deferred).count();
            assert_eq!(deferred, RINGS);
        });
    });
    on(nmi, 1, || take_nmi(nmi));
    for _ in 0..3 {
        polled.world.wait_us(1_100);
        nmi.tick();
    }
    let stats = nmi.cpu_stats(0).unwrap();
    assert_eq!((stats.unknown, stats.absorbed), (0, RINGS));
    polled.kept.clear();
}

/// An NMI on top of a claim outside NMIs leaves its edge, and the acknowledgement takes longer than
/// the cap. The next NMI on top of other code finds that edge, and takes that code for stuck.
#[test]
fn code_that_begins_later_is_not_stuck_for_an_edge_that_waits() {
    let mut on_top = 0;
    for accesses in 0..20 {
        let long = Leaked::new(Amid::new());
        let mut scene = scene();
        let nmi = scene.world.nmi;
        scene.kept.push(nmi.register(&other_local(), long.0).unwrap());
        let (tell, told) = mpsc::channel();
        let rings = move || tell.send(take_nmi(nmi)).unwrap();
        interrupt::arm(accesses, rings.clone());
        scene.kept[0].claim_outside_nmi(|| {
            interrupt::disarm();
            time_passes(nmi, 30_000);
            long.0.next(rings);
            scene.pmi.0.raise();
            take_nmi(nmi);
        });
        if told.recv() == Ok(Outcome::Deferred) {
            on_top += 1;
            assert_eq!(told.recv(), Ok(Outcome::Deferred));
        }
        scene.kept.clear();
    }
    assert!(on_top > 3, "{on_top} edges on top");
}
