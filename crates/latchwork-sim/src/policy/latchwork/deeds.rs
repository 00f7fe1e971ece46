// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Latchwork did in one NMI or tick, by its own statistics.

use latchwork::{CpuStats, GrantKind, RecoveryStats};

use super::kernel;
use crate::{
    event_log::{self, Deed, Logged},
    machine::current,
};

const KINDS: [GrantKind; 4] =
    [GrantKind::Collapsed, GrantKind::Late, GrantKind::MachineWide, GrantKind::OutsideNmi];

/// The statistics at one time.
pub(super) struct Deeds {
    cpu: CpuStats,
    recovery: RecoveryStats,
}

/// The statistics as they are now, if the event log is recorded.
pub(super) fn so_far() -> Option<Deeds> {
    event_log::is_recording().then(|| {
        let nmi = &kernel().nmi;
        let cpu = nmi.cpu_stats(current().this_cpu()).unwrap_or_default();
        Deeds { cpu, recovery: nmi.recovery_stats() }
    })
}

/// Logs what Latchwork has done since.
pub(super) fn log_since(before: Option<Deeds>) {
    let (Some(before), Some(now)) = (before, so_far()) else { return };
    let log = |deed| event_log::append(|| Logged::Does(deed));
    let absorbed = now.cpu.absorbed_by_kind.into_iter().zip(before.cpu.absorbed_by_kind);
    for (kind, (now, before)) in KINDS.into_iter().zip(absorbed) {
        (before..now).for_each(|_| log(Deed::Absorbed(kind)));
    }
    let (now, before) = (now.recovery, before.recovery);
    let probes = now.probes - before.probes;
    (0..probes).for_each(|_| log(Deed::SentProbe));
    (probes..now.paid_by_tick - before.paid_by_tick).for_each(|_| log(Deed::PaidByPoll));
    if now.recovered != before.recovered {
        log(Deed::Recovered(now.recovered - before.recovered));
    }
}
