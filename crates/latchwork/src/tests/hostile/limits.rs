// SPDX-License-Identifier: MIT OR Apache-2.0
//! Limits of 0 and of the most, each pair of fields and values; and the machine under them.

use std::vec::Vec;

use super::{
    super::{
        scene::{local, platform},
        source::Source,
        world::{Leaked, TestPlatform, World, become_cpu, take_nmi},
    },
    let_the_machine_run,
};
use crate::{
    Class, Doorbell, EdgeModel, EdgesError, HandlerSpec, Limits, LimitsError, Nmi, Outcome,
    RegisterError, Request, primitive::Ordering,
};

type Field = fn(&mut Limits) -> &mut u32;

const FIELDS: [(&str, Field); 6] = [
    ("late_us", |it| &mut it.late_us),
    ("cap_us", |it| &mut it.cap_us),
    ("tick_period_us", |it| &mut it.tick_period_us),
    ("overdue_us", |it| &mut it.overdue_us),
    ("hold_us", |it| &mut it.hold_us),
    ("unknowns_per_100_ms", |it| &mut it.unknowns_per_100_ms),
];

fn pairs() -> impl Iterator<Item = Limits> {
    let values = [0, 1, u32::MAX / 2, u32::MAX];
    let fields = (0..FIELDS.len()).flat_map(|first| (0..first).map(move |second| (first, second)));
    fields.flat_map(move |(first, second)| {
        values.into_iter().flat_map(move |one| {
            values.into_iter().map(move |other| {
                let mut limits = Limits::BARE_METAL;
                *FIELDS[first].1(&mut limits) = one;
                *FIELDS[second].1(&mut limits) = other;
                limits
            })
        })
    })
}

/// What is promised, in numbers that no limit overflows.
fn is_promised(mut limits: Limits, ticks_per_ms: u64) -> bool {
    let [late, cap, period, overdue, hold, unknowns] =
        FIELDS.map(|(_, field)| u128::from(*field(&mut limits)));
    let none_is_zero = ![late, cap, period, overdue, hold, unknowns].contains(&0);
    let longest_ticks = cap.max(overdue).max(hold) * u128::from(ticks_per_ms) / 1_000;
    none_is_zero
        && late <= cap
        && hold <= cap
        && overdue >= 2 * period
        && longest_ticks < usize::MAX as u128 / 1_024
}

const RATES: [u64; 4] = [1, 1_000, 3_000_000, 10_000_000_000];

#[test]
fn each_pair_of_extreme_limits_is_accepted_or_refused_as_promised() {
    let world = World::new();
    for ticks_per_ms in RATES {
        world.nmi.platform.ticks_per_ms.store(ticks_per_ms as usize, Ordering::Relaxed);
        for limits in pairs() {
            let set = world.nmi.set_limits(limits);
            let promised = is_promised(limits, ticks_per_ms);
            assert_eq!(set.is_ok(), promised, "{limits:?} at {ticks_per_ms}: {set:?}");
        }
    }
}

/// Nothing overflows under them, and no event is lost.
#[test]
fn the_machine_runs_under_each_pair_that_is_accepted() {
    for ticks_per_ms in RATES {
        for limits in pairs().filter(|limits| is_promised(*limits, ticks_per_ms)) {
            run_under(limits, ticks_per_ms);
        }
    }
}

fn run_under(limits: Limits, ticks_per_ms: u64) {
    let world = World::new();
    let nmi = world.nmi;
    nmi.platform.ticks_per_ms.store(ticks_per_ms as usize, Ordering::Relaxed);
    nmi.platform.ticks_per_reading.store(usize::from(ticks_per_ms > 1), Ordering::Relaxed);
    nmi.set_limits(limits).unwrap();
    let (pmi, external) = (Leaked::new(Source::new()), Leaked::new(Source::new()));
    let _kept =
        [nmi.register(&local(), pmi.0).unwrap(), nmi.register(&platform(), external.0).unwrap()];
    pmi.0.raise();
    external.0.raise();
    nmi.send(0, Request::Call).unwrap();
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    nmi.granted(0).unwrap();
    let outcomes: Vec<_> = (0..3).map(|_| take_nmi(nmi)).collect();
    assert_eq!(outcomes[0], Outcome::Absorbed, "{limits:?} at {ticks_per_ms}");
    take_stuck_send(nmi);
    let period_us = limits.tick_period_us as usize;
    let_the_machine_run(nmi, 4, period_us.saturating_add(period_us / 4 + 4_000), &mut [1; 2]);
    assert!(!external.0.is_raised(), "{limits:?} at {ticks_per_ms}");
    become_cpu(Some(0));
}

/// A send to CPU 0 is taken, and never rings.
fn take_stuck_send(nmi: &'static Nmi<TestPlatform>) {
    crate::tests::world::begin_send(nmi);
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
}

/// Every edge that it may have is explained, and not one more.
#[test]
fn the_largest_edge_model_is_kept_to() {
    let world = World::new();
    let nmi = world.nmi;
    let most = EdgeModel::MOST_LATE_EDGES;
    let longest = EdgeModel::PerEvent { late_us: u32::MAX, max_late_edges: most };
    let spec = HandlerSpec::new("message", Class::Local, Doorbell::Local(4), longest);
    let source = Leaked::new(Source::new());
    let refused = nmi.register(&spec, source.0).unwrap_err();
    let cap_us = Limits::BARE_METAL.cap_us;
    let late_us = u32::MAX;
    assert_eq!(refused, RegisterError::Edges(EdgesError::LateBeyondCap { late_us, cap_us }));
    nmi.set_limits(Limits { cap_us: u32::MAX, ..Limits::BARE_METAL }).unwrap();
    let kept = nmi.register(&spec, source.0).unwrap();
    let below = nmi.set_limits(Limits { cap_us: u32::MAX - 1, ..Limits::BARE_METAL });
    assert!(matches!(below, Err(LimitsError::CapBelowHandler { late_us: u32::MAX, .. })));
    source.0.raise();
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
    world.wait_us(4_000_000_000);
    for _ in 0..most {
        assert_eq!(take_nmi(nmi), Outcome::Absorbed);
    }
    assert_eq!(take_nmi(nmi), Outcome::Unknown);
    kept.remove().unwrap();
}
