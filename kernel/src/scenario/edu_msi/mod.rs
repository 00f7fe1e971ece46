// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's `edu` device rings one CPU after the other by its MSI, an NMI: a sticky status, and a
//! ring per event.
//!
//! One status may stand for several rings, so the scenario counts rings and events separately. An
//! NMI whose event an earlier one took is an *orphan*. The library absorbs it, since the device's
//! doorbell says that its rings may come late. The scenario makes a known number of orphans, and of
//! the opposite: events whose ring collapsed into a request's, which the poll of a tick or of an
//! NMI finds.

pub(super) mod events;
mod outcome;
mod phases;
mod report;

use core::fmt;
use core::sync::atomic::Ordering;

use latchwork::{Class, Doorbell, EdgeModel, HandlerSpec, PlatformDelivery, Recovery};
use latchwork_x86::Vector;
use latchwork_x86::icr::ApicId;
use latchwork_x86::msi::Message;

use self::events::{DEVICE, EVENTS, LOSE_EVENTS, NO_ACKNOWLEDGEMENT, RAISER, TAKER};
use self::outcome::Outcomes;
use super::{Progress, Run};
use crate::device::edu::Ringing;
use crate::nmi::{self, NMI};
use crate::{apic, tick, trap};

/// How long after the claim of its event a ring may still come, and how many such rings: as many as
/// the status has bits, but one.
pub(super) const EDGES: EdgeModel =
    EdgeModel::PerEvent { late_us: 100, max_late_edges: EVENTS as u8 - 1 };

pub(super) fn run(run: &Run) {
    NO_ACKNOWLEDGEMENT.store(run.has_fault("no-ack"), Ordering::Relaxed);
    LOSE_EVENTS.store(run.has_fault("lost-event"), Ordering::Relaxed);
    let mut ringing = find_device();

    let raiser = nmi::register("edu-raiser", Class::Local, 0, &RAISER);
    let edges = if run.has_fault("no-late-edges") { EdgeModel::PerCondition } else { EDGES };
    let spec = HandlerSpec::new("edu", Class::Platform, Doorbell::Platform(0), edges);
    let taker = nmi::register_as(&spec.delivery(PlatformDelivery::Cpus(&[])), &TAKER);
    tick::pass_to_library(!run.has_fault("no-tick"));

    let progress = Progress::new(run.cpus as u64);
    let mut outcomes = Outcomes::default();
    for target in 0..run.cpus {
        nmi::set_delivery(taker.id(), &[target]);
        aim(run, &mut ringing, target);
        NMI.owe_poll();
        outcomes.lone.add(&phases::lone_events(run, target, run.has_fault("stray-nmi")));
        outcomes.merged.add(&phases::merged_rings(run, target));
        outcomes.orphaned.add(&phases::orphaned_rings(run, target));
        outcomes.collapsed.add(&phases::collapsed_rings(run, target, Recovery::Poll));
        outcomes.probed.add(&phases::collapsed_rings(run, target, Recovery::ProbeNmi));
        outcomes.tickless.add(&phases::without_ticks(run, target));
        outcomes.storm.add(&phases::storm(run, target));
        progress.at(target as u64 + 1);
    }
    ringing.silence();
    run.settle();

    report::report(run, &outcomes, ringing.edu.status());
    nmi::remove(taker);
    nmi::remove(raiser);
}

/// Makes the device ring `target`, unless a fault asks for something else.
fn aim(run: &Run, ringing: &mut Ringing, target: usize) {
    let neighbour = (target + 1) % run.cpus;
    let cpu = if run.has_fault("wrong-target") { neighbour } else { target };
    if run.has_fault("fixed-vector") {
        const MASKABLE: Vector = Vector::of::<{ trap::Vector::Wake as u8 }>();
        ring_by(ringing, cpu, |to| Message::fixed(to, MASKABLE));
    } else {
        ring_cpu(ringing, cpu);
    }
    if run.has_fault("msi-disabled") {
        ringing.silence();
    }
}

/// Finds the device and hands it to the handler of its events.
pub(super) fn find_device() -> Ringing {
    let ringing = match Ringing::find() {
        Ok(ringing) => ringing,
        Err(error) => panic!("this scenario needs QEMU's edu device (-device edu): {error}"),
    };
    DEVICE.set(ringing.edu);
    ringing
}

/// Makes the device ring `cpu` by NMIs.
pub(super) fn ring_cpu(ringing: &mut Ringing, cpu: usize) {
    ring_by(ringing, cpu, |to| Message::nmi(to, None));
}

fn ring_by<E: fmt::Display>(
    ringing: &mut Ringing,
    cpu: usize,
    message: impl FnOnce(ApicId) -> Result<Message, E>,
) {
    match message(apic::target(cpu).unwrap_or(ApicId::from(0))) {
        Ok(message) => ringing.ring_by(message),
        Err(error) => panic!("no MSI can reach CPU {cpu}: {error}"),
    }
}
