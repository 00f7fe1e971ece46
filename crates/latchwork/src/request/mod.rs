// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests: NMIs that software sends. [Sending](send) one, the [mailbox] that carries it, the
//! [word](send_word) by which a CPU says that it is in a send, and the [receiver]'s [account] of
//! sends that may not have rung yet.

mod account;
mod mailbox;
mod receiver;
mod send;
mod send_word;

pub(crate) use account::SendsAccount;
#[expect(unused_imports, reason = "no dispatch waits for a send yet")]
pub(crate) use account::{SendWait, UnfinishedSends};
pub(crate) use mailbox::Mailbox;
pub use send::SendError;
pub(crate) use send::ring_this_cpu;
pub(crate) use send_word::SendWord;
