// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scenario's checks.

use latchwork::Recovery;

use super::block;
use super::outcome::{Outcome, Outcomes, Source};
use super::rounds::{self, DEVICE_EVENTS, HOST_EVENTS, LOSSES};
use crate::scenario::edu_msi::events;
use crate::scenario::{Run, check, check_nothing_unknown, pmu};

pub(super) fn report(run: &Run, saw: &Outcomes, status: u32) {
    let device = saw.of(Source::Device, true);
    let host = saw.of(Source::Host, true);
    check_found("events-of-the-device-are-found", device, DEVICE_EVENTS);
    check_found("events-of-the-host-are-found", host, HOST_EVENTS);
    check_collapsed(run, saw);
    check_lost("without-polls-events-of-the-device-are-lost", saw.of(Source::Device, false));
    check_lost("without-polls-events-of-the-host-are-lost", saw.of(Source::Host, false));
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

/// Each ring that collapsed is one NMI less; and what a poll found for which no NMI had asked had no NMI of its own.
fn check_collapsed(run: &Run, saw: &Outcomes) {
    let collapsed = saw.rings.get().saturating_sub(saw.edges.get());
    let events =
        saw.of(Source::Device, true).events.get() + saw.of(Source::Host, true).events.get();
    let (fewest, fewest_found) = (events / 2, events / 4);
    let probes = saw.probes.get();
    let as_told = (run.recovery() == Recovery::ProbeNmi) == (probes != 0);
    check(
        "rings-collapse-and-polls-find-the-events",
        collapsed >= fewest && saw.recovered.get() >= fewest_found && fewest_found != 0 && as_told,
        format_args!(
            "{fewest} or more rings collapsed, and {fewest_found} or more polls that were owed found something, {} probes",
            if run.recovery() == Recovery::ProbeNmi { "by" } else { "without" }
        ),
        format_args!(
            "{} rings and {} NMIs, {collapsed} collapsed; {} such polls, {probes} probes",
            saw.rings.get(),
            saw.edges.get(),
            saw.recovered.get()
        ),
    );
}

fn check_lost(name: &str, outcome: &Outcome) {
    let (lost, found_again) = (outcome.lost.get(), outcome.found_again.get());
    check(
        name,
        lost >= LOSSES && found_again == lost,
        format_args!("{LOSSES} events or more are not found, until polls are paid again"),
        format_args!("{lost} of {} not found, {found_again} of them then", outcome.events.get()),
    );
}

fn check_counts(saw: &Outcomes, status: u32) {
    let (raised, taken) = events::totals();
    let host_events =
        saw.of(Source::Host, true).events.get() + saw.of(Source::Host, false).events.get();
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
