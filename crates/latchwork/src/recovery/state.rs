// SPDX-License-Identifier: MIT OR Apache-2.0
//! What all CPUs share for recovery.

use super::{debt::Debt, mode::Recovery, poll_lock::PollLock, stats::RecoveryCounters};
use crate::{
    grant::MachineWideClaims,
    primitive::{Counter, Ordering, const_unless_loom},
    time::LimitsInForce,
};

/// What all CPUs share for recovery.
#[derive(Debug)]
pub(crate) struct RecoveryState {
    pub(crate) hot: HotLine,
    pub(crate) polls: PollLock,
    pub(crate) limits: LimitsInForce,
    pub(crate) counters: RecoveryCounters,
    /// A setting: a stale one is that of a moment ago.
    pub(super) mode: Counter,
}

/// The line that every NMI reads, and that changes at most a few times per tick.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct HotLine {
    pub(crate) debt: Debt,
    pub(crate) machine_wide: MachineWideClaims,
}

impl RecoveryState {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                hot: HotLine { debt: Debt::new(), machine_wide: MachineWideClaims::new() },
                polls: PollLock::new(),
                limits: LimitsInForce::new(),
                counters: RecoveryCounters::new(),
                mode: Counter::new(Recovery::Poll as usize),
            }
        }
    }

    pub(super) fn mode(&self) -> Recovery {
        if self.mode.load(Ordering::Relaxed) == Recovery::ProbeNmi as usize {
            Recovery::ProbeNmi
        } else {
            Recovery::Poll
        }
    }
}
