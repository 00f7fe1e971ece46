// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests: NMIs that software sends. [Sending](send) one, and the [mailbox] that carries it.

mod mailbox;
mod send;

pub(crate) use mailbox::Mailbox;
pub use send::SendError;

/// Stub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Phase(usize);
impl Phase {
    pub(crate) const fn from_bit(bit: usize) -> Self {
        Self(bit & 1)
    }
    pub(crate) const fn bit(self) -> usize {
        self.0
    }
}
/// Stub.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendsWait {
    pub(crate) phase: Phase,
    pub(crate) sends: usize,
}
