// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Latchwork did in one NMI or tick, as its own statistics say.

use latchwork::{CpuStats, GrantKind, RecoveryStats};

use super::kernel;
use crate::{
    machine::current,
    telling::{self, Deed, What},
};

const KINDS: [GrantKind; 4] =
    [GrantKind::Collapsed, GrantKind::Late, GrantKind::MachineWide, GrantKind::OutsideNmi];

/// The statistics at one time.
pub(super) struct Deeds {
    cpu: CpuStats,
    recovery: RecoveryStats,
}

/// What was done until now, if somebody listens.
pub(super) fn so_far() -> Option<Deeds> {
    telling::is_heard().then(|| {
        let nmi = &kernel().nmi;
        let cpu = nmi.cpu_stats(current().this_cpu()).unwrap_or_default();
        Deeds { cpu, recovery: nmi.recovery_stats() }
    })
}

/// Tells what was done since.
pub(super) fn tell_since(before: Option<Deeds>) {
    let (Some(before), Some(now)) = (before, so_far()) else { return };
    let tell = |deed| telling::tell(|| What::Does(deed));
    let absorbed = now.cpu.absorbed_by_kind.into_iter().zip(before.cpu.absorbed_by_kind);
    for (kind, (now, before)) in KINDS.into_iter().zip(absorbed) {
        (before..now).for_each(|_| tell(Deed::Absorbed(kind)));
    }
    let (now, before) = (now.recovery, before.recovery);
    let probes = now.probes - before.probes;
    (0..probes).for_each(|_| tell(Deed::SentProbe));
    (probes..now.paid_by_tick - before.paid_by_tick).for_each(|_| tell(Deed::PaidByPoll));
    if now.recovered != before.recovered {
        tell(Deed::Recovered(now.recovered - before.recovered));
    }
}
