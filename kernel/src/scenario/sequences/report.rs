// SPDX-License-Identifier: MIT OR Apache-2.0
//! The checks that need no other machine to compare with.

use latchwork::Recovery;
use latchwork_sequence::Played;

use crate::nmi::NMI;
use crate::scenario::{Run, check, check_requests_taken, unsettled};
use crate::time;

/// The sums over all sequences.
#[derive(Debug, Default)]
pub(super) struct Sums {
    sequences: u64,
    steps: usize,
    sets: usize,
    claims: usize,
    left: usize,
    rings: usize,
    sends: usize,
    deferred: usize,
    torn: usize,
}

impl Sums {
    pub(super) fn add(&mut self, played: &Played) {
        let Played { steps, sets, claims, left, rings, sends, deferred, torn, .. } = *played;
        self.sequences += 1;
        self.steps += steps;
        self.sets += sets;
        self.claims += claims;
        self.left += left;
        self.rings += rings;
        self.sends += sends;
        self.deferred += deferred;
        self.torn += torn;
    }
}

pub(super) fn report(run: &Run, sequences: u64, sums: &Sums) {
    let (stats, recovery) = (run.stats(), NMI.recovery_stats());
    check(
        "every-sequence-is-played",
        sums.sequences == sequences && sums.steps as u64 > sequences && sums.torn == 0,
        format_args!("{sequences} sequences of some steps each, logged completely"),
        format_args!(
            "{} sequences, {} steps, {} lines of their logs lost",
            sums.sequences, sums.steps, sums.torn
        ),
    );
    check(
        "every-condition-is-claimed-once",
        sums.sets == sums.claims + sums.left && sums.claims != 0,
        format_args!("{} conditions set: as many claimed, or still set at the end", sums.sets),
        format_args!("{} claimed, {} still set", sums.claims, sums.left),
    );
    check_requests_taken((sums.sends + recovery.probes) as u64, &stats);
    let most = sums.rings + recovery.probes;
    check(
        "no-more-nmis-than-rings",
        stats.edges != 0 && stats.edges <= most && unsettled(&stats) == 0,
        format_args!("some NMIs, {most} at most, and each settled"),
        format_args!("{}, {} not settled", stats.edges, unsettled(&stats)),
    );
    // Most NMIs that are deferred come on top of a poll that a tick makes by itself; and with few
    // sequences and real time there may be none.
    let must_defer = run.recovery() == Recovery::Poll && time::is_instruction_clock();
    check(
        "every-outcome-is-seen",
        stats.claimed != 0
            && stats.absorbed != 0
            && stats.unknown != 0
            && (sums.deferred != 0 || !must_defer)
            && recovery.recovered != 0,
        format_args!("some NMIs claimed, absorbed, deferred, unknown; some conditions recovered"),
        format_args!(
            "{} claimed, {} absorbed, {} deferred, {} unknown; {} recovered",
            stats.claimed, stats.absorbed, sums.deferred, stats.unknown, recovery.recovered
        ),
    );
    run.totals(sums.sets.saturating_sub(sums.claims + sums.left) as u64);
}
