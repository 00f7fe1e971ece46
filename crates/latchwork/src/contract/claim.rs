// SPDX-License-Identifier: MIT OR Apache-2.0
//! A handler's answer.

/// A handler's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Claim {
    /// The condition did not hold: this edge is not explained by this handler.
    None,
    /// The condition held and was consumed.
    Handled,
    /// The condition held; part of it was consumed, and the rest left for later, so that this NMI
    /// ends: a status that is set again each time it is cleared, for example.
    ///
    /// *Local handlers* are asked again in another NMI, which this CPU takes once it has run other
    /// code in between. Where that NMI cannot be sent, the CPU's next tick tries again. *Platform
    /// handlers* are asked again by the poll that is owed from here on: a tick period later, on any
    /// CPU. Of an *Unknown* handler it is the same as [`Handled`](Self::Handled): what it was asked
    /// about was an edge and no condition.
    ///
    /// A handler that always wants more does not stop its CPU, which goes on between two NMIs; its
    /// claims are counted, and [told as a storm](crate::HandlerSpec::storm_above) like any others.
    More,
}
