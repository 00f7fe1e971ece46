// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a CPU asks the Platform handlers, and what came of it.

use super::poll_lock::PollNumber;

/// Why a CPU asks the Platform handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollReason {
    /// An edge that nothing else explains, or that itself says that it is machine-wide.
    Edge,
    /// A probe, or a tick.
    Debt,
    /// A debt that is overdue.
    Overdue,
}

/// What came of asking them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollOutcome {
    /// A handler claimed.
    Claimed,
    /// No handler claimed.
    Nothing,
    /// Another CPU, or this one underneath, asks them, in the poll of that number.
    Busy(PollNumber),
    /// No CPU asked them.
    Skipped,
}

impl PollOutcome {
    /// Whether all sources that were there have been looked at.
    pub(crate) const fn has_polled(self) -> bool {
        matches!(self, Self::Claimed | Self::Nothing)
    }
}
