// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is granted and owed at this moment, for people: a debugger, a panic's report, a timeline.
//!
//! Read from anywhere with plain loads, each exact and together a moment apart. Nothing is decided
//! by it.

/// Which edges a CPU may absorb. Made by [`Nmi::granted`](crate::Nmi::granted).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Granted {
    /// How many, by [kind](crate::GrantKind), in the order of its variants. All 0 if nothing is
    /// granted, or nothing any more.
    pub edges: [usize; 4],
    /// How long until their deadline, in ticks. 0 if it has passed: then they end when the CPU has
    /// had, after it, a moment at which it would have taken any edge.
    pub left_ticks: usize,
    /// A send to this CPU was taken before it rang. Nothing ends before its ring is made, or it is
    /// written off.
    pub waits_for_send: bool,
}

/// A poll of the Platform handlers that is owed. Made by [`Nmi::owed_poll`](crate::Nmi::owed_poll).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwedPoll {
    /// Since how many ticks, on the clock of the CPU that asks.
    pub age_ticks: usize,
    /// An edge that nothing has explained yet waits for it.
    pub edge_waits: bool,
}
