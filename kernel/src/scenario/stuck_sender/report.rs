// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was seen in rounds of each kind, and the scenario's checks.

use core::ops::AddAssign;

use latchwork::{CpuStats, Limits};

use super::SHORT_ROUNDS;
use crate::scenario::{Run, check, unsettled};
use crate::time;

/// How the sender freezes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// For a while.
    Short,
    /// For a while, in which an NMI comes that nothing explains.
    Early,
    /// For longer than any hold lasts. Then NMIs come that nothing explains, but not where they end
    /// the kernel.
    Long,
}

/// How much longer than it should a hold may last: until the receiver's next ticks. Where CPUs run
/// in parallel, the host decides when they come.
const SLACK_US: u64 = 1_000_000;
const INSTRUCTION_SLACK_US: u64 = 2_500;

/// What the receiver saw, and others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    rounds: u64,
    edges: usize,
    pub(super) claimed: usize,
    absorbed: usize,
    unknown: usize,
    /// Reports of late sends.
    late_sends: usize,
    unknown_elsewhere: usize,
}

impl Seen {
    pub(super) const fn new(stats: &CpuStats, unknown_elsewhere: usize, late_sends: usize) -> Self {
        let CpuStats { edges, claimed, absorbed, unknown, .. } = *stats;
        Self { rounds: 0, edges, claimed, absorbed, unknown, late_sends, unknown_elsewhere }
    }

    /// The counts since `before`, in one round.
    pub(super) const fn since(self, before: Self) -> Self {
        Self {
            rounds: 1,
            edges: self.edges - before.edges,
            claimed: self.claimed - before.claimed,
            absorbed: self.absorbed - before.absorbed,
            unknown: self.unknown - before.unknown,
            late_sends: self.late_sends - before.late_sends,
            unknown_elsewhere: self.unknown_elsewhere - before.unknown_elsewhere,
        }
    }
}

impl AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.edges += other.edges;
        self.claimed += other.claimed;
        self.absorbed += other.absorbed;
        self.unknown += other.unknown;
        self.late_sends += other.late_sends;
        self.unknown_elsewhere += other.unknown_elsewhere;
    }
}

/// The sums over all rounds of each kind.
#[derive(Debug, Default)]
pub(super) struct SeenByKind([Seen; 3]);

impl SeenByKind {
    pub(super) fn add(&mut self, kind: Kind, seen: Seen) {
        self.0[kind as usize] += seen;
    }
}

pub(super) fn report(run: &Run, SeenByKind(seen): &SeenByKind) {
    check_short(run, &seen[Kind::Short as usize]);
    if !run.panics_on_unknown() {
        check_early(run, &seen[Kind::Early as usize]);
    }
    check_long(run, &seen[Kind::Long as usize]);
    check_held(run);
    check_others(run, seen);
    let stats = run.stats();
    let left = unsettled(&stats);
    check(
        "all-are-settled",
        left == 0,
        format_args!("no NMI of which it is not known what it was"),
        format_args!("{left}"),
    );
    run.totals(0);
}

fn check_short(run: &Run, short: &Seen) {
    let rounds = SHORT_ROUNDS * run.cpus;
    check(
        "ring-of-a-frozen-sender-is-absorbed",
        short.rounds == rounds as u64
            && short.edges == 2 * rounds
            && short.claimed == rounds
            && short.absorbed == rounds
            && short.unknown == 0,
        format_args!(
            "two NMIs in each of {rounds} rounds: one claimed with the request, and one absorbed \
             ticks later"
        ),
        format_args!(
            "in {}: {} NMIs, {} claimed, {} absorbed, {} unknown",
            short.rounds, short.edges, short.claimed, short.absorbed, short.unknown
        ),
    );
}

fn check_early(run: &Run, early: &Seen) {
    let rounds = run.cpus;
    check(
        "one-grant-explains-one-nmi",
        early.rounds == rounds as u64
            && early.edges == 3 * rounds
            && early.claimed == rounds
            && early.absorbed == rounds
            && early.unknown == rounds,
        format_args!(
            "of the ring and another NMI in each of {rounds} rounds, one absorbed and one unknown"
        ),
        format_args!(
            "in {}: {} NMIs, {} claimed, {} absorbed, {} unknown",
            early.rounds, early.edges, early.claimed, early.absorbed, early.unknown
        ),
    );
}

/// Checks that the library absorbs the ring of a sender that was frozen for too long, or reports it
/// as a late send.
fn check_long(run: &Run, long: &Seen) {
    let rounds = run.cpus;
    let others = if run.panics_on_unknown() { 0 } else { rounds };
    let late = long.unknown.saturating_sub(others);
    let unknown = super::UNKNOWN_WHILE_FROZEN.get();
    check(
        "ring-that-comes-too-late-is-a-late-send",
        long.rounds == rounds as u64
            && long.edges == 2 * rounds + others
            && long.claimed == rounds
            && long.absorbed + long.unknown == rounds + others
            && long.late_sends >= late,
        format_args!("the ring in each of {rounds} rounds absorbed, or reported as a late send"),
        format_args!(
            "in {}: {} NMIs, {} claimed, {} absorbed, {} unknown; {} reports of late sends",
            long.rounds, long.edges, long.claimed, long.absorbed, long.unknown, long.late_sends
        ),
    );
    if !run.panics_on_unknown() {
        check(
            "an-unknown-nmi-surfaces-beside-a-frozen-sender",
            unknown == rounds as u64,
            format_args!(
                "{rounds} NMIs unknown while the sender of their CPU was frozen for too long"
            ),
            format_args!("{unknown}"),
        );
    }
}

fn check_held(run: &Run) {
    let slack_us = if time::is_instruction_clock() { INSTRUCTION_SLACK_US } else { SLACK_US };
    let hold_us = u64::from(Limits::BARE_METAL.hold_us);
    let longest_us = super::longest_held_us();
    check(
        "a-grant-is-held-no-longer-than-it-may",
        (hold_us / 2..=hold_us + slack_us).contains(&longest_us),
        format_args!("{} to {} us at most, on {} CPUs", hold_us / 2, hold_us + slack_us, run.cpus),
        format_args!("{longest_us} us"),
    );
}

/// Checks that only these NMIs are unknown: those on the receiver, and those sent to others while
/// the sender was frozen for long.
fn check_others(run: &Run, seen: &[Seen; 3]) {
    let expected = if run.panics_on_unknown() { 0 } else { run.cpus * (run.cpus - 1) };
    let elsewhere: usize = seen.iter().map(|seen| seen.unknown_elsewhere).sum();
    check(
        "unknown-nmis-of-others-surface",
        elsewhere == expected,
        format_args!("{expected} unknown on CPUs that do not wait for a sender"),
        format_args!("{elsewhere}"),
    );
}
