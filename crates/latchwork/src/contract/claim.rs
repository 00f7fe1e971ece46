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
    ///
    /// The library has only this word for it. A Platform handler that says so about each edge, such
    /// as one that cannot look at its device, hides each unknown: its
    /// [`HandlerStats`](crate::HandlerStats) show as many claims as calls. Such a handler is of
    /// class [`Unknown`](crate::Class::Unknown).
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
    /// A handler that always wants more does not keep its CPU in one NMI: interrupts come between
    /// two. But the next one comes as soon as the CPU has run its deferred work, so the CPU may do
    /// little else. The library counts the claims and reports a
    /// [storm](crate::HandlerSpec::storm_above) of them like any other; the kernel removes the
    /// handler then, or masks what makes its condition hold.
    More,
}
