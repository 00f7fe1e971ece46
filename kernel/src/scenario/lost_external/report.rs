// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scenario's checks.

use latchwork::Recovery;

use super::block;
use super::outcome::{Outcome, Outcomes, Source};
use super::rounds::{self, DEVICE_EVENTS, HOST_EVENTS, LOSSES};
use crate::scenario::edu_msi::events;
use crate::scenario::{Run, check, check_nothing_unknown, pmu};

/// How many rings of lost events must have collapsed. The library may have absorbed others, which
/// is as bad without polls.
const COLLAPSED: u64 = LOSSES / 2;

pub(super) fn report(run: &Run, saw: &Outcomes, status: u32) {
    let device = saw.of(Source::Device, true);
    let host = saw.of(Source::Host, true);
    check_found("events-of-the-device-are-found", device, DEVICE_EVENTS);
    check_found("events-of-the-host-are-found", host, HOST_EVENTS);
    check_collapsed(run, saw);
    let collapsed = saw.counts(false).collapsed();
    let [device_unpaid, host_unpaid] = [Source::Device, Source::Host].map(|it| saw.of(it, false));
    check_lost("without-polls-events-of-the-device-are-lost", device_unpaid, collapsed);
    check_lost("without-polls-events-of-the-host-are-lost", host_unpaid, collapsed);
    check_counts(saw, status);
    check_nothing_unknown(&run.stats());
    run.totals(device.lost.get() + host.lost.get());
}

fn check_found(name: &str, outcome: &Outcome, events: u64) {
    let limit_us = rounds::limit_us();
    check(
        name,
        outcome.events.get() >= events && outcome.lost.get() == 0,
        format_args!("each of {events} or more found within {limit_us} us"),
        format_args!(
            "{} of {} found so, after {} us at most; {} lost",
            outcome.found.get(),
            outcome.events.get(),
            outcome.longest_wait_us(),
            outcome.lost.get()
        ),
    );
}

/// Checks that an event had no NMI of its own if a poll found it for which no NMI had asked.
fn check_collapsed(run: &Run, saw: &Outcomes) {
    let counts = saw.counts(true);
    let (collapsed, recovered) = (counts.collapsed(), counts.recovered.get());
    let events = [Source::Device, Source::Host].map(|source| saw.of(source, true).events.get());
    let events: u64 = events.iter().sum();
    let fewest = events / 4;
    let probes = counts.probes.get();
    let by_probes = run.recovery() == Recovery::ProbeNmi;
    check(
        "rings-collapse-and-polls-find-the-events",
        collapsed >= fewest && recovered >= fewest && fewest != 0 && (probes != 0) == by_probes,
        format_args!(
            "{fewest} or more rings collapsed, and as many polls that were owed found something, \
             {} probes",
            if by_probes { "by" } else { "without" }
        ),
        format_args!(
            "{} rings and {} NMIs, {collapsed} collapsed; {recovered} such polls, {probes} probes",
            counts.rings.get(),
            counts.edges.get()
        ),
    );
}

fn check_lost(name: &str, outcome: &Outcome, collapsed: u64) {
    let (lost, found_again) = (outcome.lost.get(), outcome.found_again.get());
    check(
        name,
        lost >= LOSSES && found_again == lost && collapsed >= COLLAPSED,
        format_args!(
            "{LOSSES} events or more are not found, until polls are paid again, and {COLLAPSED} or \
             more rings collapsed"
        ),
        format_args!(
            "{lost} of {} not found, {found_again} of them then; {collapsed} rings collapsed",
            outcome.events.get()
        ),
    );
}

fn check_counts(saw: &Outcomes, status: u32) {
    let (raised, taken) = events::totals();
    let host_events = saw.host_events();
    check(
        "every-event-claimed-once",
        raised == taken && block::claimed() == host_events && status == 0 && raised != 0,
        format_args!(
            "{raised} events of the device and {host_events} of the host claimed, and none left"
        ),
        format_args!("{taken} and {}; status {status:#010x}", block::claimed()),
    );
    let (overflows, claims) = pmu::totals();
    check(
        "every-overflow-claimed-once",
        overflows == claims && overflows != 0,
        format_args!("{overflows} overflows of the counters claimed, and some were"),
        format_args!("{claims}"),
    );
}
