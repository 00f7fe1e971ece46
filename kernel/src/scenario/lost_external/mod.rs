// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machine-wide events ring a CPU that has a flood of NMIs of its own.
//!
//! One CPU after the other is the target. Its counters overflow again and again ([`super::pmu`]),
//! so nearly always one of its own NMIs is latched, and a ring that comes then collapses with it.
//! Its handlers explain that NMI, so no CPU asks about the event: an owed poll finds it, or nothing
//! does.
//!
//! Two sources raise events. QEMU's `edu` device rings by its MSI when a CPU writes to its raise
//! register. The host writes to its [error block](block) and then rings LINT1, at some time.
//!
//! The library must find each event within a limit. So that this proves something, the scenario
//! then raises some events while no CPU pays polls, under the same flood. The library must not find
//! some of these until CPUs pay polls again.

mod block;
mod outcome;
mod report;
mod rounds;

use core::sync::atomic::Ordering;

use latchwork::{Class, Doorbell, EdgeModel, HandlerSpec, Limits, PlatformDelivery};

use self::block::{READER, STAYS_EMPTY};
use self::outcome::{Outcomes, Source};
use self::rounds::Rounds;
use super::edu_msi::events::{LOSE_EVENTS, TAKER};
use super::{Progress, Run, edu_msi, pmu};
use crate::nmi::{self, NMI};
use crate::{nmi_lines, smp};

/// The host may ring long after a poll has found what it wrote.
const BLOCK_LATE_US: u32 = 1_000_000;

static SAW: Outcomes = Outcomes::new();

pub(super) fn run(run: &Run) {
    LOSE_EVENTS.store(run.has_fault("lost-event"), Ordering::Relaxed);
    STAYS_EMPTY.store(run.has_fault("empty-block"), Ordering::Relaxed);
    let mut ringing = edu_msi::find_device();
    let counters = pmu::register();
    pmu::call_in_bursts(rounds::raise_what_was_ordered);
    let nowhere = PlatformDelivery::Cpus(&[]);
    let device = HandlerSpec::new("edu", Class::Platform, Doorbell::Platform(0), edu_msi::EDGES);
    let device = nmi::register_as(&device.delivery(nowhere), &TAKER);
    let late_us = BLOCK_LATE_US.min(nmi::limits().cap_us);
    let edges = EdgeModel::PerEvent { late_us, max_late_edges: 1 };
    let host = HandlerSpec::new("error-block", Class::Platform, Doorbell::Platform(1), edges);
    let host = nmi::register_as(&host.delivery(nowhere), &READER);

    let progress = Progress::new(run.cpus as u64);
    for target in 0..run.cpus {
        for handler in [&device, &host] {
            nmi::set_delivery(handler.id(), &[target]);
        }
        edu_msi::ring_cpu(&mut ringing, target);
        set_line(target, true);
        NMI.owe_poll();
        all_rounds(run, target);
        set_line(target, false);
        progress.at(target as u64 + 1);
        if rounds::stalled() {
            break;
        }
    }
    ringing.silence();
    pay_polls(true);
    run.let_grants_end();
    run.settle();

    report::report(run, &SAW, ringing.edu.status());
    for registration in [host, device, counters] {
        nmi::remove(registration);
    }
}

/// All rounds with one target: first CPUs pay polls, then they do not.
fn all_rounds(run: &Run, target: usize) {
    for recovering in [true, false] {
        pay_polls(recovering && !run.has_fault("no-recovery"));
        let rounds = Rounds::new(run, &SAW, target, recovering);
        rounds::account(run, target, &SAW, recovering, || {
            rounds.events_of(Source::Device);
            rounds.events_of(Source::Host);
        });
    }
    pay_polls(true);
}

/// Lets CPUs pay owed polls in time, or never.
fn pay_polls(paid: bool) {
    const NEVER_US: u32 = u32::MAX;
    let limits = nmi::limits();
    nmi::set_limits(if paid {
        limits
    } else {
        Limits { tick_period_us: NEVER_US / 2, overdue_us: NEVER_US, ..limits }
    });
}

/// Opens the NMI lines of `target`, or closes them.
fn set_line(target: usize, open: bool) {
    smp::on_all_cpus(&|cpu| {
        if cpu == target {
            let programmed = if open { nmi_lines::open_here() } else { nmi_lines::close_here() };
            if let Err(error) = programmed {
                panic!("CPU {cpu}: {error}");
            }
        }
    });
}
