// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is granted and owed at this moment, for a debugger, a panic's report or a timeline.
//!
//! Any CPU reads the figures with plain loads: each is exact, but two of them may be a moment
//! apart. The library decides nothing by them.

/// Which edges a CPU may absorb. Made by [`Nmi::granted`](crate::Nmi::granted).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Granted {
    /// How many edges, by [kind](crate::GrantKind), in the order of its variants. All are 0 if
    /// nothing is granted, or if the grants have ended.
    pub edges: [usize; 4],
    /// How long until the deadline of the grants, in ticks. 0 if it has passed: then the grants end
    /// at the next moment at which the CPU would have taken any edge that had come.
    pub left_ticks: usize,
    /// This CPU took a send before its sender rang. No grant ends before the sender has rung, or
    /// the library has written the send off.
    pub waits_for_send: bool,
}

/// A debt: a poll of the Platform handlers that is owed. Made by
/// [`Nmi::owed_poll`](crate::Nmi::owed_poll).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwedPoll {
    /// For how long it has been owed, in ticks on the clock of the CPU that asks.
    pub age_ticks: usize,
    /// Whether an edge that nothing has explained yet waits for the poll.
    pub edge_waits: bool,
}
