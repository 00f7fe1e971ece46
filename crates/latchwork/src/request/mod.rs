// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests: NMIs that software sends. [Sending](send) one, and the [mailbox] that carries it.

mod mailbox;
mod send;

pub(crate) use mailbox::Mailbox;
pub use send::SendError;
