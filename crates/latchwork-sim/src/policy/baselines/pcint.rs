// SPDX-License-Identifier: MIT OR Apache-2.0
//! FreeBSD's two handlers behind the entry for performance counters (`PCINT`): `hwpmc`'s for
//! Intel's counters (`core2_intr`) and the one of Intel PT (`pt_topa_intr`).

use super::drivers;
use crate::{driver::pmu, machine::pmu::bit};

const COUNTERS: u8 = bit::COUNTER_0 | bit::COUNTER_1;

/// Which of the two handlers there are, and how they work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drivers {
    /// `hwpmc` alone, for everything behind the entry, which it unmasks last.
    Careful,
    /// Both as in FreeBSD's source: `hwpmc` unmasks before it acknowledges, and acknowledges
    /// whatever was set. PT's handler comes first, and clears its bit even if it has read it as
    /// clear.
    Landed,
    /// The same, but each acknowledges only its own bits, and only those that it has seen set.
    /// `hwpmc`'s handler comes first, as it does if the module is loaded last.
    PmcUnmasksFirst,
}

/// `core2_intr`. Returns whether one of the counters had overflowed.
pub(super) fn pmc_handler(drivers: Drivers) -> bool {
    if drivers == Drivers::Careful {
        let is_own = drivers::pmis() != 0;
        drivers::note(|| format!("Pmc: {}", if is_own { "mine" } else { "not mine" }));
        return is_own;
    }
    let status = pmu::read_status();
    let own = status & COUNTERS;
    pmu::stop_counters(true);
    unmask();
    pmu::acknowledge(if drivers == Drivers::Landed { status } else { own });
    pmu::stop_counters(false);
    drivers::note(|| format!("Pmc: saw {status:#x}"));
    own != 0
}

/// `pt_topa_intr`. Returns whether PT's buffer was full.
pub(super) fn pt_handler(drivers: Drivers) -> bool {
    let is_own = pmu::read_status() & bit::TOPA != 0;
    if is_own || drivers == Drivers::Landed {
        pmu::acknowledge(bit::TOPA);
    }
    if is_own {
        unmask();
    }
    drivers::note(|| format!("Pt: {}", if is_own { "mine" } else { "not mine" }));
    is_own
}

/// `lapic_reenable_pcint`. Where the entry does not mask itself it has no effect.
fn unmask() {
    if drivers::lvt_masks_itself() {
        pmu::unmask();
    }
}
