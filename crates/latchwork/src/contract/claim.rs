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
    /// it. Once this CPU has run other code, it takes another NMI, in which it asks its Local
    /// handlers again.
    More,
}
