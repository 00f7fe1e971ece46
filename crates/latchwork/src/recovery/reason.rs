// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why the Platform handlers are asked, and what came of it.

use super::poll_lock::PollNumber;

/// Why the Platform handlers are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollReason {
    /// An edge that nothing else explains, or that says itself that it is machine-wide.
    Edge,
    /// A probe, or a tick.
    Debt,
    /// A debt that is overdue.
    Overdue,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollOutcome {
    /// Something was claimed.
    Claimed,
    /// Nothing was.
    Nothing,
    /// Somebody else is at it, in the poll of that number.
    Busy(PollNumber),
    /// Nobody asked them.
    Skipped,
}

impl PollOutcome {
    /// Whatever was there has been looked at.
    pub(crate) const fn has_polled(self) -> bool {
        matches!(self, Self::Claimed | Self::Nothing)
    }
}
