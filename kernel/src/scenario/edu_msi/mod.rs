// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's `edu` device rings one CPU after the other by its MSI, an NMI: a sticky status, and a ring per event.
//!
//! One status may stand for several rings, so rings and events are counted apart. An NMI whose event an earlier one took is an
//! *orphan*. The library does not absorb orphans yet: it counts and reports them as unknown. The scenario makes a known number of
//! them, says how many others came, and shows that nothing else is unknown.

mod events;
mod phases;

use core::sync::atomic::Ordering;

use latchwork::{Class, Doorbell, EdgeModel, HandlerSpec};
use latchwork_x86::Vector;
use latchwork_x86::icr::ApicId;
use latchwork_x86::msi::Message;

use self::events::{DEVICE, EVENTS, LOSE_EVENTS, NO_ACKNOWLEDGEMENT, RAISER, TAKER};
use self::phases::{LONE_EVENTS, MERGED_EVENTS, NESTED_ROUNDS, Outcome, STORM_EVENTS};
use super::{Progress, Run, check};
use crate::device::edu::Ringing;
use crate::{apic, nmi, trap};

/// How long after its event was taken a ring may still come, and how many such rings: as many as the status has bits, but one.
const EDGES: EdgeModel = EdgeModel::PerEvent { late_us: 100, max_late_edges: EVENTS as u8 - 1 };

/// What all targets of each phase add up to.
#[derive(Default)]
struct Outcomes {
    lone: Outcome,
    merged: Outcome,
    orphaned: Outcome,
    storm: Outcome,
}

pub(super) fn run(run: &Run) {
    NO_ACKNOWLEDGEMENT.store(run.has_fault("no-ack"), Ordering::Relaxed);
    LOSE_EVENTS.store(run.has_fault("lost-event"), Ordering::Relaxed);
    let mut ringing = match Ringing::find() {
        Ok(ringing) => ringing,
        Err(error) => panic!("this scenario needs QEMU's edu device (-device edu): {error}"),
    };
    DEVICE.set(ringing.edu);

    let raiser = nmi::register("edu-raiser", Class::Local, 0, &RAISER);
    let spec = HandlerSpec::new("edu", Class::Platform, Doorbell::Platform(0), EDGES);
    let taker = nmi::register_as(&spec, &TAKER);

    let progress = Progress::new(run.cpus as u64);
    let mut outcomes = Outcomes::default();
    for target in 0..run.cpus {
        aim(run, &mut ringing, target);
        outcomes.lone.add(&phases::lone_events(run, target, run.has_fault("stray-nmi")));
        outcomes.merged.add(&phases::merged_rings(run, target));
        outcomes.orphaned.add(&phases::orphaned_rings(run, target));
        outcomes.storm.add(&phases::storm(run, target));
        progress.at(target as u64 + 1);
    }
    ringing.silence();
    run.settle();

    report(run, &outcomes, ringing.edu.status());
    nmi::remove(taker);
    nmi::remove(raiser);
}

/// Has the device ring `target`, unless a fault wants something else.
fn aim(run: &Run, ringing: &mut Ringing, target: usize) {
    const MASKABLE: Vector = Vector::of::<{ trap::Vector::Wake as u8 }>();
    let neighbour = (target + 1) % run.cpus;
    let cpu = if run.has_fault("wrong-target") { neighbour } else { target };
    let to = apic::target(cpu).unwrap_or(ApicId::from(0));
    let message = if run.has_fault("fixed-vector") {
        Message::fixed(to, MASKABLE)
    } else {
        Message::nmi(to, None)
    };
    match message {
        Ok(message) => ringing.ring_by(message),
        Err(error) => panic!("no MSI can reach CPU {cpu}: {error}"),
    }
    if run.has_fault("msi-disabled") {
        ringing.silence();
    }
}

fn report(run: &Run, outcomes: &Outcomes, status: u32) {
    let Outcomes { lone, merged, orphaned, storm } = outcomes;
    let cpus = run.cpus as u64;
    check(
        "every-event-in-time",
        !phases::stalled(),
        format_args!("each event taken in time"),
        format_args!("{}", if phases::stalled() { "one was not" } else { "all were" }),
    );
    check(
        "lone-event-is-one-nmi",
        lone.events >= LONE_EVENTS
            && lone.edges == lone.events
            && lone.claimed == lone.events
            && lone.targets == cpus,
        format_args!(
            "one NMI for each of {LONE_EVENTS} or more events, all claimed, on {cpus} CPUs"
        ),
        format_args!(
            "{} events, {} NMIs, {} claimed, on {} CPUs",
            lone.events, lone.edges, lone.claimed, lone.targets
        ),
    );
    let rounds = NESTED_ROUNDS * cpus;
    check(
        "merged-rings-are-one-nmi",
        merged.requests == rounds
            && merged.edges == 2 * rounds
            && merged.claimed == 2 * rounds
            && merged.events == MERGED_EVENTS as u64 * rounds
            && merged.taken == merged.events
            && merged.targets == cpus,
        format_args!(
            "one NMI after each of {rounds} in which the device rang {MERGED_EVENTS} times, with all the events"
        ),
        format_args!(
            "{} NMIs by request and {} others, {} claimed in all, {} of {} events taken",
            merged.requests,
            merged.edges.saturating_sub(merged.requests),
            merged.claimed,
            merged.taken,
            merged.events
        ),
    );
    check(
        "ring-of-a-taken-event-is-an-orphan",
        orphaned.events == 2 * rounds
            && orphaned.edges == orphaned.events
            && orphaned.claimed == rounds
            && orphaned.taken == orphaned.events
            && orphaned.targets == cpus,
        format_args!("two NMIs in each of {rounds} rounds: one with both events, one with none"),
        format_args!(
            "{} NMIs, {} claimed with {} events, {} orphans",
            orphaned.edges,
            orphaned.claimed,
            orphaned.taken,
            orphaned.orphans()
        ),
    );
    check(
        "storm-adds-up",
        storm.events >= STORM_EVENTS
            && storm.taken == storm.events
            && storm.claimed != 0
            && storm.claimed <= storm.edges
            && storm.edges <= storm.events
            && storm.targets == cpus,
        format_args!("all of {STORM_EVENTS} or more events taken, by no more NMIs than events"),
        format_args!(
            "{} of {} events taken, {} NMIs: {} claimed, {} orphans, {} rings collapsed into others",
            storm.taken,
            storm.events,
            storm.edges,
            storm.claimed,
            storm.orphans(),
            storm.events.saturating_sub(storm.edges)
        ),
    );
    let (raised, claimed) = events::totals();
    let (idle, miscounted) = events::idle_and_miscounted();
    check(
        "every-event-claimed-once",
        raised == claimed && miscounted == 0 && idle == 0,
        format_args!("{raised} events, each of {EVENTS} kinds claimed as often as raised"),
        format_args!("{claimed}; {miscounted} kinds differ, {idle} were never raised"),
    );
    check(
        "status-is-clear",
        status == 0,
        format_args!("no event left in the device's status"),
        format_args!("status {status:#010x}"),
    );
    let elsewhere = lone.elsewhere + merged.elsewhere + orphaned.elsewhere + storm.elsewhere;
    check(
        "rung-cpu-only",
        elsewhere == 0,
        format_args!("no NMI but on the CPU that is rung"),
        format_args!("{elsewhere} on others"),
    );
    let stats = run.stats();
    let orphans = orphaned.orphans() + storm.orphans();
    let unexplained = (stats.unknown + stats.absorbed) as u64;
    check(
        "orphans-alone-are-unknown",
        unexplained == orphans && stats.deferred == 0 && stats.edges != 0,
        format_args!("{orphans} orphans reported as unknown, or absorbed; 0 deferred"),
        format_args!(
            "{} unknown, {} absorbed, {} deferred of {} NMIs",
            stats.unknown, stats.absorbed, stats.deferred, stats.edges
        ),
    );
    run.totals(raised.saturating_sub(claimed));
}
