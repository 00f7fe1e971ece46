// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kinds of what a CPU does, by which the search knows whether an order can matter.

use std::ops::{BitOr, BitOrAssign};

/// Kinds of what a CPU does from one choice point to the next. For an option at a choice point, the
/// kinds whose order with it can matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touches(u8);

impl Touches {
    /// Nothing.
    pub const NOTHING: Self = Self(0);
    /// An access to a word that only its own CPU touches.
    pub const OWN: Self = Self(1 << 0);
    /// Any other access to memory, and a fence that drains stores.
    pub const SHARED: Self = Self(1 << 1);
    /// An access to hardware, and whatever else changes the world or reports to the monitors.
    pub const HARDWARE: Self = Self(1 << 2);
    /// A reading of the clock, or of something else that the code [observes](super::observe).
    pub const CLOCK: Self = Self(1 << 3);
    /// A ring, which sets an edge on its way. It is a change of the world, too.
    pub const RING: Self = Self(1 << 4);
    /// All of these and everything else: an interruption begins or ends, a wait's turn ends, a
    /// context begins, another CPU's turn has come, an event has happened.
    pub const EVERYTHING: Self = Self(u8::MAX);

    /// Whether one kind is in both.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Touches {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Touches {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}
