// SPDX-License-Identifier: MIT OR Apache-2.0
//! A wait for all that was under way at a certain time.

/// Sends to this CPU that may not have rung yet, when it took requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnfinishedSends {
    /// How many, at most. It counts those whose request is still pending, too.
    pub(crate) count: usize,
    pub(crate) wait: SendWait,
}

/// A wait for all sends that were under way at a certain time: the number of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SendWait(pub(crate) usize);

impl SendWait {
    pub(crate) const fn is_before(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as isize) < 0
    }

    /// The one that ends later.
    pub(crate) const fn later_of(self, other: Self) -> Self {
        if self.is_before(other) { other } else { self }
    }

    pub(crate) const fn before(self) -> Self {
        Self(self.0.wrapping_sub(1))
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}
