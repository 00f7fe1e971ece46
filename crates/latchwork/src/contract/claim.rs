// SPDX-License-Identifier: MIT OR Apache-2.0
//! A handler's answer.

/// A handler's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Claim {
    /// The handler's condition did not hold: this handler does not explain the edge.
    None,
    /// The condition held, and the handler has consumed it.
    Handled,
    /// The condition held. The handler has consumed a part of it and left the rest, so that this
    /// NMI ends: for example, because the device sets the status again each time the handler clears
    /// it.
    ///
    /// Once this CPU has run other code, it takes another NMI, in which it asks its *Local*
    /// handlers again. Where it cannot send itself that NMI, its next tick tries again. The poll
    /// that this CPU owes from here on asks the *Platform* handlers again: a tick period later, on
    /// any CPU. For an *Unknown* handler the answer means the same as [`Handled`](Self::Handled),
    /// since dispatch asked it about an edge and not about a condition.
    ///
    /// A handler that always wants more does not stop its CPU, which runs other code between two
    /// NMIs. The library counts its claims and reports a
    /// [storm](crate::HandlerSpec::storm_above) of them like any other.
    More,
}
