// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scenario's checks.

use core::sync::atomic::Ordering;

use super::events::{self, EVENTS};
use super::outcome::{Outcome, Outcomes};
use super::phases::{
    self, LONE_EVENTS, MERGED_EVENTS, NESTED_ROUNDS, STORM_EVENTS, TICKLESS_ROUNDS,
};
use crate::nmi::reports;
use crate::scenario::{Run, check, check_nothing_unknown};
use crate::time;

/// How long an event whose ring had collapsed may wait for a poll: until the poll has been owed for
/// a tick period, and the next tick. Where CPUs run in parallel, the host decides when they run.
const LONGEST_WAIT_US: u64 = 1_000_000;
const LONGEST_INSTRUCTION_WAIT_US: u64 = 2_500;

pub(super) fn report(run: &Run, outcomes: &Outcomes, status: u32) {
    let cpus = run.cpus as u64;
    check(
        "every-event-in-time",
        !phases::stalled(),
        format_args!("each event taken in time"),
        format_args!("{}", if phases::stalled() { "one was not" } else { "all were" }),
    );
    check_lone(&outcomes.lone, cpus);
    check_merged(&outcomes.merged, cpus);
    check_orphaned(&outcomes.orphaned, cpus);
    let collapsed = &outcomes.collapsed;
    check_collapsed(
        "event-whose-ring-collapsed-is-recovered",
        collapsed,
        collapsed.probes == 0,
        cpus,
    );
    let probed = &outcomes.probed;
    check_collapsed("the-same-by-probes", probed, probed.probes != 0, cpus);
    check_tickless(&outcomes.tickless, cpus);
    check_storm(&outcomes.storm, cpus);
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
    let elsewhere = outcomes.elsewhere();
    check(
        "rung-cpu-only",
        elsewhere == 0,
        format_args!("no NMI but on the CPU that is rung"),
        format_args!("{elsewhere} on others"),
    );
    check_reports(run);
    check_nothing_unknown(&run.stats());
    run.totals(raised.saturating_sub(claimed));
}

/// Checks that each CPU reported absorbed edges: it absorbed them again and again, for longer than
/// the library tolerates without a report.
fn check_reports(run: &Run) {
    let reports = |cpu| reports::tally(cpu).absorbed_reports.load(Ordering::Acquire);
    let reported = (0..run.cpus).filter(|cpu| reports(*cpu) != 0).count();
    check(
        "absorbing-is-reported",
        reported == run.cpus,
        format_args!("a report or more of absorbed NMIs of each of {} CPUs", run.cpus),
        format_args!("of {reported}"),
    );
}

fn check_lone(lone: &Outcome, cpus: u64) {
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
}

fn check_merged(merged: &Outcome, cpus: u64) {
    let rounds = NESTED_ROUNDS * cpus;
    check(
        "merged-rings-are-one-nmi",
        merged.requests == rounds
            && merged.edges == 2 * rounds
            && merged.claimed + merged.absorbed == merged.edges
            && merged.absorbed == merged.recovered
            && merged.events == MERGED_EVENTS as u64 * rounds
            && merged.taken == merged.events
            && merged.targets == cpus,
        format_args!(
            "one NMI after each of {rounds} in which the device rang {MERGED_EVENTS} times, with \
             all the events, or absorbed where \
             a tick was faster"
        ),
        format_args!(
            "{} NMIs by request and {} others, {} claimed in all, {} absorbed, {} polls by ticks \
             found something, {} of {} events taken",
            merged.requests,
            merged.edges.saturating_sub(merged.requests),
            merged.claimed,
            merged.absorbed,
            merged.recovered,
            merged.taken,
            merged.events
        ),
    );
}

fn check_orphaned(orphaned: &Outcome, cpus: u64) {
    let rounds = NESTED_ROUNDS * cpus;
    check(
        "ring-of-a-taken-event-is-absorbed",
        orphaned.events == 2 * rounds
            && orphaned.edges == orphaned.events
            && orphaned.claimed == rounds
            && orphaned.absorbed == rounds
            && orphaned.taken == orphaned.events
            && orphaned.targets == cpus,
        format_args!(
            "two NMIs in each of {rounds} rounds: one with both events, one with none, absorbed"
        ),
        format_args!(
            "{} NMIs, {} claimed with {} events, {} absorbed",
            orphaned.edges, orphaned.claimed, orphaned.taken, orphaned.absorbed
        ),
    );
}

fn check_collapsed(name: &str, collapsed: &Outcome, as_expected: bool, cpus: u64) {
    let rounds = NESTED_ROUNDS * cpus;
    let longest_us = phases::longest_wait_us();
    let limit_us =
        if time::is_instruction_clock() { LONGEST_INSTRUCTION_WAIT_US } else { LONGEST_WAIT_US };
    check(
        name,
        as_expected
            && collapsed.events == rounds
            && collapsed.taken == rounds
            && collapsed.edges + collapsed.elsewhere == 2 * rounds + collapsed.probes
            && collapsed.elsewhere <= collapsed.probes
            && collapsed.claimed == collapsed.edges
            && collapsed.recovered == rounds
            && collapsed.targets == cpus
            && longest_us <= limit_us,
        format_args!(
            "{rounds} events whose ring collapsed into a request's found by polls that were owed, \
             each within {limit_us} us"
        ),
        format_args!(
            "{} of {} taken, {} by such polls, {longest_us} us at most; {} NMIs, {} of them \
             probes, {} \
             claimed where the device rings",
            collapsed.taken,
            collapsed.events,
            collapsed.recovered,
            collapsed.edges + collapsed.elsewhere,
            collapsed.probes,
            collapsed.claimed
        ),
    );
}

fn check_tickless(tickless: &Outcome, cpus: u64) {
    let rounds = TICKLESS_ROUNDS * cpus;
    check(
        "without-ticks-an-nmi-recovers",
        tickless.events == rounds
            && tickless.taken == rounds
            && tickless.recovered == rounds
            && tickless.paid_overdue == rounds
            && tickless.paid_by_tick == 0
            && tickless.targets == cpus,
        format_args!("{rounds} such events found by NMIs that paid an overdue poll, none by ticks"),
        format_args!(
            "{} of {} taken; {} overdue polls, {} by ticks, {} of them found something",
            tickless.taken,
            tickless.events,
            tickless.paid_overdue,
            tickless.paid_by_tick,
            tickless.recovered
        ),
    );
}

fn check_storm(storm: &Outcome, cpus: u64) {
    check(
        "storm-adds-up",
        storm.events >= STORM_EVENTS
            && storm.taken == storm.events
            && storm.edges != 0
            && storm.claimed + storm.absorbed == storm.edges
            && storm.edges <= storm.events
            && storm.targets == cpus,
        format_args!(
            "all of {STORM_EVENTS} or more events taken; no more NMIs than events, each claimed or \
             absorbed"
        ),
        format_args!(
            "{} of {} events taken, {} NMIs: {} claimed, {} absorbed; {} rings collapsed into \
             others, {} polls that were owed found \
             something",
            storm.taken,
            storm.events,
            storm.edges,
            storm.claimed,
            storm.absorbed,
            storm.events.saturating_sub(storm.edges),
            storm.recovered
        ),
    );
}
