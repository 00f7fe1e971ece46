// SPDX-License-Identifier: MIT OR Apache-2.0
//! Debt against polls, and the poll lock's losers.
//!
//! The machine-wide source is a Relaxed atomic: nothing orders what CPUs see of it but the code
//! under test.

use loom::thread;
use std::vec::Vec;

use super::{explore, explore_up_to};
use crate::{
    Claim, Class, Doorbell, EdgeModel, HandlerSpec, Nmi, NmiContext, NmiHandler, Outcome,
    Registration, Request,
    primitive::{Counter, Ordering},
    tests::{
        source::Source,
        world::{Leaked, Stops, TestPlatform, World, become_cpu, take_nmi, take_nmi_and_stop},
    },
};

/// Where both CPUs ask the Platform handlers.
const PREEMPTIONS: Option<usize> = Some(4);

/// A source with a sticky status for each CPU, such as a counter's overflow. Each CPU touches its
/// own only, so loom is spared it.
struct LocalSource([Counter; 3]);

impl LocalSource {
    const fn new() -> Self {
        Self([const { Counter::new(0) }; 3])
    }

    fn raise_on(&self, cpu: usize) {
        self.0[cpu].store(1, Ordering::Relaxed);
    }
}

// SAFETY: it locks nothing, blocks nowhere, allocates nothing and is `Sync` by its own atomics.
unsafe impl NmiHandler for LocalSource {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        match self.0[ctx.cpu()].swap(0, Ordering::Relaxed) {
            0 => Claim::None,
            _ => Claim::Handled,
        }
    }
}

type Machine = &'static Nmi<TestPlatform>;

pub(super) fn external() -> HandlerSpec<'static> {
    let doorbell = Doorbell::Platform(1);
    HandlerSpec::new("external", Class::Platform, doorbell, EdgeModel::PerCondition)
}

fn pmi() -> HandlerSpec<'static> {
    HandlerSpec::new("pmi", Class::Local, Doorbell::Local(4), EdgeModel::PerCondition)
}

/// A Local and a Platform source; nothing owed, and long after the beginning.
struct Scene {
    world: World,
    pmi: Leaked<LocalSource>,
    external: Leaked<Source>,
    kept: Vec<Registration>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        become_cpu(Some(0));
        self.kept.clear();
    }
}

fn scene(cpus: usize) -> Scene {
    let world = World::with_cpus(cpus);
    let (pmis, source) = (Leaked::new(LocalSource::new()), Leaked::new(Source::new()));
    let kept = std::vec![
        world.nmi.register(&pmi(), pmis.0).unwrap(),
        world.nmi.register(&external(), source.0).unwrap(),
    ];
    world.wait_us(100_000);
    world.nmi.core.recovery.hot.debt.take();
    Scene { world, pmi: pmis, external: source, kept }
}

impl Scene {
    fn parts(&self) -> (Machine, &'static LocalSource, &'static Source) {
        (self.world.nmi, self.pmi.0, self.external.0)
    }

    /// What was set is found, or will be looked for.
    fn assert_nothing_is_stranded(&self) {
        let owed = self.world.nmi.core.recovery.hot.debt.owed().is_some();
        assert!(owed || !self.external.0.is_raised(), "nobody will look for it");
    }

    /// Edges that wait have somebody to wait for.
    fn assert_every_edge_can_be_settled(&self) {
        let owed = self.world.nmi.core.recovery.hot.debt.owed().is_some();
        for (cpu, area) in self.world.nmi.core.cpus().iter().enumerate() {
            self.world.nmi.inside_read_side(cpu, area, |_, _| ());
            assert!(
                owed || !area.deferred.has_waiting(),
                "an edge waits for a poll that nobody owes"
            );
        }
    }

    /// Each CPU ticks until all is paid and settled. Returns the unknown edges of each.
    fn settle(&self) -> Vec<usize> {
        let cpus = self.world.nmi.core.cpus().len();
        for cpu in (0..cpus).chain(0..cpus) {
            become_cpu(Some(cpu));
            self.world.wait_us(1_100);
            self.world.nmi.tick();
        }
        assert!(!self.external.0.is_raised());
        self.world.nmi.core.cpus().iter().for_each(|area| assert!(!area.deferred.has_waiting()));
        (0..cpus).map(|cpu| self.world.nmi.cpu_stats(cpu).unwrap().unknown).collect()
    }
}

/// An external event whose ring collapses into a PMI.
fn collapse(nmi: Machine, pmi: &LocalSource, external: &Source, cpu: usize) {
    become_cpu(Some(cpu));
    external.raise();
    pmi.raise_on(cpu);
    assert_eq!(take_nmi(nmi), Outcome::Claimed);
}

/// An event collapses on one CPU while another asks the Platform handlers.
#[test]
fn a_condition_set_before_a_skippers_edge_is_found_by_a_poll() {
    explore(|| {
        let scene = scene(2);
        let (nmi, pmi, external) = scene.parts();
        nmi.owe_poll();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            take_nmi(nmi);
        });
        collapse(nmi, pmi, external, 0);
        other_cpu.join().unwrap();
        scene.assert_nothing_is_stranded();
        scene.settle();
    });
}

/// The same with nothing owed before, and one poll that pays at a tick.
#[test]
fn a_condition_set_before_a_skippers_edge_is_found_by_a_tick() {
    explore(|| {
        let scene = scene(2);
        let (nmi, pmi, external) = scene.parts();
        nmi.owe_poll();
        scene.world.wait_us(1_100);
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            nmi.tick();
        });
        collapse(nmi, pmi, external, 0);
        other_cpu.join().unwrap();
        scene.assert_nothing_is_stranded();
        scene.settle();
    });
}

/// Two skippers, and each polls afterwards.
#[test]
fn two_skippers_and_two_polls() {
    explore(|| {
        let scene = scene(2);
        let (nmi, pmi, external) = scene.parts();
        let other_cpu = thread::spawn(move || {
            collapse(nmi, pmi, external, 1);
            nmi.platform.ticks.fetch_add(1_100, Ordering::Relaxed);
            nmi.tick();
        });
        collapse(nmi, pmi, external, 0);
        other_cpu.join().unwrap();
        scene.assert_nothing_is_stranded();
        scene.settle();
    });
}

/// Two CPUs come upon an edge that nothing explains: each says so in the end, once.
#[test]
fn two_unknown_edges_at_once_are_both_reported() {
    explore_up_to(PREEMPTIONS, || {
        let scene = scene(2);
        let nmi = scene.world.nmi;
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            take_nmi(nmi);
        });
        take_nmi(nmi);
        other_cpu.join().unwrap();
        scene.assert_every_edge_can_be_settled();
        assert_eq!(scene.settle(), [1, 1]);
    });
}

/// One event that rings two CPUs at once: one of them claims it, and for neither it is unknown.
#[test]
fn an_event_that_rings_two_cpus_is_unknown_to_neither() {
    explore_up_to(PREEMPTIONS, || {
        let scene = scene(2);
        let (nmi, _, external) = scene.parts();
        external.raise();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            take_nmi(nmi);
        });
        take_nmi(nmi);
        other_cpu.join().unwrap();
        scene.assert_every_edge_can_be_settled();
        assert_eq!(scene.settle(), [0, 0]);
        assert_eq!(external.claims(), 1);
    });
}

/// An event rings one CPU, and an unknown edge another, whose poll may have looked too early: the
/// event's own edge is never unknown.
#[test]
fn a_loser_is_judged_by_no_poll_that_looked_before_its_edge() {
    explore_up_to(PREEMPTIONS, || {
        let scene = scene(2);
        let (nmi, _, external) = scene.parts();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            external.raise();
            take_nmi(nmi);
        });
        take_nmi(nmi);
        other_cpu.join().unwrap();
        scene.assert_nothing_is_stranded();
        scene.assert_every_edge_can_be_settled();
        assert_eq!(scene.settle()[1], 0);
        assert_eq!(external.claims(), 1);
    });
}

/// The same with a third CPU, whose poll may begin between the first's end and the second's look.
#[test]
fn a_loser_between_two_polls_is_judged_by_the_later_one() {
    explore_up_to(PREEMPTIONS, || {
        let scene = scene(3);
        let (nmi, _, external) = scene.parts();
        let poll = nmi.core.recovery.polls.take(2).unwrap();
        let polls = thread::spawn(move || {
            become_cpu(Some(2));
            nmi.core.recovery.polls.end(poll);
            take_nmi(nmi);
        });
        become_cpu(Some(1));
        external.raise();
        take_nmi(nmi);
        polls.join().unwrap();
        scene.assert_nothing_is_stranded();
        scene.assert_every_edge_can_be_settled();
        assert_eq!(scene.settle()[1], 0);
    });
}

/// A handler whose line is asserted already is registered while another CPU skips it, and then
/// finds nobody to ask.
#[test]
fn an_asserted_line_is_found_after_its_registration() {
    explore(|| {
        let world = World::new();
        let nmi = world.nmi;
        let (pmis, source) = (Leaked::new(LocalSource::new()), Leaked::new(Source::new()));
        let local = nmi.register(&pmi(), pmis.0).unwrap();
        let pmis = pmis.0;
        source.0.raise();
        nmi.owe_poll();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            pmis.raise_on(1);
            take_nmi(nmi);
            take_nmi(nmi);
        });
        let kept = nmi.register(&external(), source.0).unwrap();
        other_cpu.join().unwrap();
        let owed = nmi.core.recovery.hot.debt.owed().is_some();
        assert!(owed || !source.0.is_raised(), "nobody will look for it");
        kept.remove().unwrap();
        local.remove().unwrap();
    });
}

/// Stops CPU 1 when that asks it, and no other.
struct StopsOne(Stops);

// SAFETY: as `Stops`.
unsafe impl NmiHandler for StopsOne {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        if ctx.cpu() == 1 { self.0.handle(ctx) } else { Claim::None }
    }
}

/// A CPU is stopped while it asks the Platform handlers, and marked: an edge that waited for it is
/// settled, and what it was asked to find is looked for.
#[test]
fn a_poller_that_is_stopped_and_marked_leaves_nothing_waiting() {
    explore(|| {
        let scene = scene(3);
        let (nmi, pmi, source) = scene.parts();
        let stops = Leaked::new(StopsOne(Stops::new()));
        let spec = external().priority(1);
        let kept = nmi.register(&spec, stops.0).unwrap();
        source.raise();
        let stopped = thread::spawn(move || {
            become_cpu(Some(1));
            take_nmi_and_stop(nmi);
        });
        pmi.raise_on(0);
        take_nmi(nmi);
        stopped.join().unwrap();
        become_cpu(Some(2));
        // SAFETY: CPU 1 was stopped, and joining its thread shows all that it did.
        unsafe { nmi.mark_offline(1) }.unwrap();
        scene.assert_nothing_is_stranded();
        scene.assert_every_edge_can_be_settled();
        become_cpu(Some(0));
        kept.remove().unwrap();
    });
}

/// A probe that finds another CPU at the Platform handlers: its edge may have been an event's, too.
#[test]
fn a_probe_that_finds_somebody_at_the_handlers() {
    explore_up_to(PREEMPTIONS, || {
        let scene = scene(2);
        let (nmi, _, external) = scene.parts();
        nmi.send(0, Request::Probe).unwrap();
        let other_cpu = thread::spawn(move || {
            become_cpu(Some(1));
            take_nmi(nmi);
        });
        external.raise();
        assert_eq!(take_nmi(nmi), Outcome::Claimed);
        other_cpu.join().unwrap();
        scene.assert_nothing_is_stranded();
        scene.assert_every_edge_can_be_settled();
    });
}
