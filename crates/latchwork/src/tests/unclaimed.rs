// SPDX-License-Identifier: MIT OR Apache-2.0
//! A line that nobody claims: how the kernel learns that it rings and rings.

use std::{string::ToString, vec::Vec};

use super::{
    source::Source,
    world::{Leaked, World, become_cpu, take_nmi, take_work_interrupt},
};
use crate::{
    Class, Doorbell, EdgeModel, HandlerSpec, Interrupted, Limits, Mode, Outcome, SourceMap, Storm,
    StormSource, primitive::Ordering,
};

const LIMIT: usize = Limits::BARE_METAL.unknowns_per_100_ms as usize;

impl World {
    fn take_unknown_nmis(&self, count: usize) {
        for _ in 0..count {
            assert_eq!(take_nmi(self.nmi), Outcome::Unknown);
        }
    }

    fn storms(&self) -> Vec<(bool, Storm)> {
        core::mem::take(&mut *self.nmi.platform.storms.lock().unwrap())
    }
}

const UNCLAIMED: StormSource = StormSource::Unclaimed { sources: None };

#[test]
fn a_storm_that_nobody_claims_is_reported_once_and_its_end_once() {
    let world = World::new();
    world.take_unknown_nmis(LIMIT);
    assert_eq!(world.storms(), []);
    world.take_unknown_nmis(65_536);
    let storms = world.storms();
    let [(true, storm)] = storms[..] else {
        panic!("{storms:?}");
    };
    assert_eq!((storm.cpu, storm.source), (0, UNCLAIMED));
    assert_eq!((storm.count, storm.within_ms), (LIMIT + 1, 100));
    let words = storm.to_string();
    assert_eq!(words, "NMI storm on CPU 0 that nobody claims: 11 within 100 ms");
    world.nmi.tick();
    world.wait_us(100_000);
    world.nmi.tick();
    assert_eq!(world.storms(), [], "the window after the last one is not over");
    world.wait_us(100_000);
    world.nmi.tick();
    world.nmi.tick();
    let ended = world.storms();
    let [(false, storm)] = ended[..] else {
        panic!("{ended:?}");
    };
    assert_eq!((storm.cpu, storm.source, storm.count), (0, UNCLAIMED, 0));
    world.take_unknown_nmis(LIMIT + 1);
    assert_eq!(world.storms().len(), 1, "the next one is told again");
}

/// One that goes on at each look is one storm, not one a window.
#[test]
fn a_storm_that_goes_on_is_not_reported_again() {
    let world = World::new();
    for _ in 0..20 {
        world.take_unknown_nmis(2 * LIMIT);
        world.nmi.tick();
        world.wait_us(100_000);
    }
    assert_eq!(world.storms().len(), 1);
}

/// A few a window are reported one by one, as ever.
#[test]
fn unknown_nmis_below_the_limit_are_no_storm() {
    let world = World::new();
    for _ in 0..20 {
        world.take_unknown_nmis(LIMIT / 2);
        world.wait_us(101_000);
    }
    assert_eq!(world.storms(), []);
    assert_eq!(world.nmi.platform.unknowns.lock().unwrap().len(), 20);
}

#[test]
fn each_cpu_has_its_own() {
    let world = World::new();
    world.take_unknown_nmis(LIMIT);
    become_cpu(Some(1));
    world.take_unknown_nmis(LIMIT);
    assert_eq!(world.storms(), []);
    world.take_unknown_nmis(1);
    assert_eq!(world.storms().first().map(|(began, storm)| (*began, storm.cpu)), Some((true, 1)));
}

#[test]
fn the_limit_is_the_kernels() {
    let world = World::new();
    world.nmi.set_limits(Limits { unknowns_per_100_ms: 2, ..Limits::BARE_METAL }).unwrap();
    world.take_unknown_nmis(2);
    assert_eq!(world.storms(), []);
    world.take_unknown_nmis(1);
    assert_eq!(world.storms().len(), 1);
}

/// Edges that were deferred, and found unknown at the tick, count as well.
#[test]
fn edges_that_turn_out_unknown_later_count() {
    let world = World::new();
    let nmi = world.nmi;
    let spec = HandlerSpec::new(
        "platform",
        Class::Platform,
        Doorbell::Platform(1),
        EdgeModel::PerCondition,
    );
    let source = Leaked::new(Source::new());
    let kept = nmi.register(&spec, source.0).unwrap();
    let poll = nmi.core.recovery.polls.take(1).unwrap();
    for _ in 0..=LIMIT {
        assert_eq!(take_nmi(nmi), Outcome::Deferred);
    }
    nmi.core.recovery.polls.end(poll);
    assert_eq!(world.storms(), []);
    world.wait_us(1_100);
    nmi.tick();
    assert_eq!(nmi.cpu_stats(0).unwrap().unknown, LIMIT + 1);
    assert_eq!(world.storms().len(), 1);
    kept.remove().unwrap();
}

#[test]
fn where_the_cpu_reports_sources_the_storm_says_them() {
    let world = World::new();
    let sources = SourceMap::from_bits(0b100);
    let interrupted = Interrupted {
        ip: 0,
        sp: 0,
        fp: 0,
        mode: Mode::User,
        frame: core::ptr::null(),
        sources: Some(sources),
    };
    for _ in 0..=LIMIT {
        // SAFETY: as in `take_nmi`.
        unsafe { world.nmi.dispatch(&interrupted) };
    }
    let storms = world.storms();
    assert_eq!(storms[0].1.source, StormSource::Unclaimed { sources: Some(sources) });
    assert!(storms[0].1.to_string().contains("(source bitmap 0x0004)"), "{}", storms[0].1);
}

/// The default: a handler that names no limit has one all the same.
#[test]
fn a_handler_that_names_no_limit_has_one() {
    let world = World::new();
    let spec = HandlerSpec::new("pmu", Class::Local, Doorbell::Local(4), EdgeModel::PerCondition);
    let source = Leaked::new(Source::new());
    let kept = world.nmi.register(&spec, source.0).unwrap();
    let claim = |times: usize| {
        for _ in 0..times {
            source.0.raise();
            assert_eq!(take_nmi(world.nmi), Outcome::Claimed);
        }
    };
    for _ in 0..4 {
        claim(50);
        world.wait_us(1_000);
    }
    assert_eq!(world.storms(), []);
    claim(usize::from(HandlerSpec::STORM_ABOVE) + 1);
    let storms = world.storms();
    assert_eq!(storms.len(), 1);
    assert_eq!(storms[0].1.source, StormSource::Handler(kept.id()));
    assert_eq!(storms[0].1.count, usize::from(HandlerSpec::STORM_ABOVE) + 1);
    kept.remove().unwrap();
}

#[test]
fn zero_is_no_limit() {
    let world = World::new();
    let spec = HandlerSpec::new("pmu", Class::Local, Doorbell::Local(4), EdgeModel::PerCondition);
    let source = Leaked::new(Source::new());
    let kept = world.nmi.register(&spec.storm_above(0), source.0).unwrap();
    for _ in 0..1_000 {
        source.0.raise();
        take_nmi(world.nmi);
    }
    assert_eq!(world.storms(), []);
    kept.remove().unwrap();
}

/// Else its end would be told when the CPU happens to tick again, and what was masked stay so.
#[test]
fn a_cpu_does_not_sleep_over_a_storm() {
    let world = World::new();
    let nmi = world.nmi;
    nmi.tick_stopped();
    world.take_unknown_nmis(LIMIT + 1);
    take_work_interrupt(nmi);
    assert_eq!(nmi.platform.ticks_wanted.load(Ordering::Relaxed), 1);
    nmi.tick_restarted();
    nmi.tick_stopped();
    take_work_interrupt(nmi);
    assert_eq!(nmi.platform.ticks_wanted.load(Ordering::Relaxed), 2, "it is not over");
    nmi.tick_restarted();
    world.wait_us(300_000);
    nmi.tick();
    assert_eq!(world.storms().len(), 2);
    nmi.tick_stopped();
    assert_eq!(take_work_interrupt(nmi), 0);
    assert_eq!(nmi.platform.ticks_wanted.load(Ordering::Relaxed), 2, "it is over");
}

/// The slot is the same, the handler is not: who masked the first one's doorbell is told of its
/// end.
#[test]
fn a_storm_of_a_handler_that_is_gone_ends_under_its_own_name() {
    let world = World::new();
    let nmi = world.nmi;
    let spec = HandlerSpec::new("it", Class::Local, Doorbell::Local(4), EdgeModel::PerCondition);
    let source = Leaked::new(Source::new());
    let register = || nmi.register(&spec.storm_above(2), source.0).unwrap();
    let storm = || {
        for _ in 0..3 {
            source.0.raise();
            assert_eq!(take_nmi(nmi), Outcome::Claimed);
        }
    };
    let told = |storms: Vec<(bool, Storm)>| {
        storms.into_iter().map(|(began, storm)| (began, storm.source)).collect::<Vec<_>>()
    };
    let first = register();
    let first_id = StormSource::Handler(first.id());
    storm();
    first.remove().unwrap();
    let second = register();
    let second_id = StormSource::Handler(second.id());
    nmi.tick();
    assert_eq!(told(world.storms()), [(true, first_id), (false, first_id)]);
    storm();
    world.wait_us(3_000);
    nmi.tick();
    assert_eq!(told(world.storms()), [(true, second_id), (false, second_id)]);
    second.remove().unwrap();
}
