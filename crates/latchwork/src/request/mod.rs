// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests: NMIs that software sends. [Sending](send) one, and the [mailbox] in which it travels.

mod mailbox;
mod send;

pub(crate) use mailbox::Mailbox;
pub use send::SendError;
