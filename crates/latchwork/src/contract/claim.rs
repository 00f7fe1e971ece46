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
    /// ends: a status that is set again each time it is cleared, for example. This CPU takes
    /// another NMI, in which its Local handlers are asked again, once it has run other code in
    /// between.
    More,
}
