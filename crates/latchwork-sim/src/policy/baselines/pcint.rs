// SPDX-License-Identifier: MIT OR Apache-2.0
//! FreeBSD's two handlers behind the entry for performance counters (`PCINT`): `hwpmc`'s for
//! Intel's counters (`core2_intr`) and the one of Intel PT (`pt_topa_intr`).

use super::drivers;
use crate::{driver::pmu, machine::pmu::bit};

const COUNTERS: u8 = bit::COUNTER_0 | bit::COUNTER_1;

/// Which of them, and how they do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drivers {
    /// `hwpmc` alone, for all that is behind the entry, which it unmasks last.
    Careful,
    /// As they are in the tree: `hwpmc` unmasks before it acknowledges, and acknowledges whatever
    /// was set. PT's handler comes before it, and clears its bit even if it has read it as clear.
    Landed,
    /// As they are, but each acknowledges its own only, and only what it has seen; and `hwpmc`'s
    /// comes first, as it does if it is loaded last.
    PmcUnmasksFirst,
}

/// `core2_intr`. Says whether one of the counters had overflowed.
pub(super) fn pmc_handler(drivers: Drivers) -> bool {
    if drivers == Drivers::Careful {
        let is_own = drivers::pmis() != 0;
        drivers::tell(|| format!("Pmc: {}", if is_own { "mine" } else { "not mine" }));
        return is_own;
    }
    let status = pmu::read_status();
    let own = status & COUNTERS;
    pmu::stop_counters(true);
    unmask();
    pmu::acknowledge(if drivers == Drivers::Landed { status } else { own });
    pmu::stop_counters(false);
    drivers::tell(|| format!("Pmc: saw {status:#x}"));
    own != 0
}

/// `pt_topa_intr`. Says whether PT's buffer was full.
pub(super) fn pt_handler(drivers: Drivers) -> bool {
    let is_own = pmu::read_status() & bit::TOPA != 0;
    if is_own || drivers == Drivers::Landed {
        pmu::acknowledge(bit::TOPA);
    }
    if is_own {
        unmask();
    }
    drivers::tell(|| format!("Pt: {}", if is_own { "mine" } else { "not mine" }));
    is_own
}

/// `lapic_reenable_pcint`. Where the entry does not mask itself it has no effect.
fn unmask() {
    if drivers::lvt_masks_itself() {
        pmu::unmask();
    }
}
