// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the card's scenario checks.

use super::expiries::{Expiries, TIMEOUT_MS};
use super::{EXPIRIES, PINGED_MS, PINGED_TIMEOUT_MS, Quiet, STOPPED_MS, STOPPED_TIMEOUT_MS};
use crate::scenario::{Run, check};
use crate::time;

/// How early an NMI may seem to be, by the measured TSC, and how late it may be. Where CPUs run in
/// parallel, the host decides when they run.
const EARLY_US: u64 = TIMEOUT_MS * 1000 / 50;
const LATE_US: u64 = 2_000_000;
/// The same under the instruction clock.
const EARLY_INSTRUCTION_US: u64 = TIMEOUT_MS * 1000 / 1000;
const LATE_INSTRUCTION_US: u64 = 100;

pub(super) fn report(run: &Run, pinged: &Quiet, alone: &Expiries, all: &Expiries, stopped: &Quiet) {
    check(
        "no-nmi-while-pinged",
        pinged.nmis == 0 && pinged.pings >= PINGED_MS / PINGED_TIMEOUT_MS,
        format_args!("0 NMIs while pinged within {PINGED_TIMEOUT_MS} ms, for {PINGED_MS} ms"),
        format_args!(
            "{} NMIs, {} pings, at most {} ms apart",
            pinged.nmis, pinged.pings, pinged.longest_gap_ms
        ),
    );
    check_one_nmi_each("one-cpu-open-one-nmi", alone);
    check_one_nmi_each("all-open-one-nmi-each", all);
    check_condition(alone, all);
    check_explained(alone, all);
    check_times(alone, all);
    check(
        "no-nmi-while-stopped",
        stopped.nmis == 0,
        format_args!(
            "0 NMIs in {STOPPED_MS} ms after a stop before the timeout of {STOPPED_TIMEOUT_MS} ms"
        ),
        format_args!("{}", stopped.nmis),
    );
    run.totals((alone.due + all.due).saturating_sub(alone.edges + all.edges));
}

fn check_one_nmi_each(name: &str, expiries: &Expiries) {
    check(
        name,
        expiries.miscounts == 0
            && expiries.edges == expiries.due
            && expiries.starts >= EXPIRIES
            && !expiries.gave_up,
        format_args!("one NMI on each open CPU and none on others, {EXPIRIES} times or more"),
        format_args!(
            "{} NMIs of {} due in {} expiries, {} times another number on a CPU",
            expiries.edges, expiries.due, expiries.starts, expiries.miscounts
        ),
    );
}

fn check_condition(alone: &Expiries, all: &Expiries) {
    let starts = alone.starts + all.starts;
    let claims = alone.by_bit + all.by_bit;
    let misclaims = alone.misclaims + all.misclaims;
    check(
        "timeout-bit-claimed-once",
        misclaims == 0 && claims == starts && claims >= 2 * EXPIRIES,
        format_args!("the card's timeout bit claimed by one CPU at each expiry"),
        format_args!("{claims} claims in {starts} expiries, {misclaims} times not one"),
    );
    let bit_kept = alone.bit_kept + all.bit_kept;
    check(
        "timeout-bit-cleared",
        bit_kept == 0 && starts != 0,
        format_args!("the card's timeout bit clear after each expiry"),
        format_args!("still set {bit_kept} times"),
    );
}

fn check_explained(alone: &Expiries, all: &Expiries) {
    check(
        "nmi-of-one-open-cpu-claims-the-bit",
        alone.by_bit == alone.edges && alone.claimed == alone.edges && alone.edges != 0,
        format_args!("each NMI on the only open CPU claims the timeout bit"),
        format_args!("{} of {} NMIs", alone.by_bit, alone.edges),
    );
    check(
        "every-nmi-explained-once",
        all.unknown == 0
            && all.claimed == all.starts
            && all.absorbed == all.edges - all.claimed
            && all.edges != 0,
        format_args!(
            "one NMI of each expiry claims the timeout bit, all others are absorbed by it"
        ),
        format_args!(
            "{} NMIs of {} expiries: {} claimed, {} absorbed, {} of those deferred first; {} \
             unknown",
            all.edges, all.starts, all.claimed, all.absorbed, all.deferred, all.unknown
        ),
    );
}

fn check_times(alone: &Expiries, all: &Expiries) {
    let (early_us, late_us) = if time::is_instruction_clock() {
        (EARLY_INSTRUCTION_US, LATE_INSTRUCTION_US)
    } else {
        (EARLY_US, LATE_US)
    };
    let soonest_us = TIMEOUT_MS * 1000 - early_us;
    let latest_us = TIMEOUT_MS * 1000 + late_us;
    // A phase without an NMI counts as 0 us, which is too early.
    let (from_us, to_us) = match (alone.span_us, all.span_us) {
        (Some(one), Some(other)) => (one.0.min(other.0), one.1.max(other.1)),
        _ => (0, 0),
    };
    check(
        "nmi-in-time",
        soonest_us <= from_us && to_us <= latest_us,
        format_args!(
            "NMIs {soonest_us} to {latest_us} us after the start, for a timeout of {TIMEOUT_MS} \
             ms"
        ),
        format_args!("{from_us} to {to_us} us (0 if a phase had none)"),
    );
}
