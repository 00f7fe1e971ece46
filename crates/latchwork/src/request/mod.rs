// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests: NMIs that software sends. [Sending](send) one, the [mailbox] that carries it, the
//! [word](send_word) by which a CPU says that it is in a send, and the receiver's [account] of
//! sends that may not have rung yet, by a [walk] over these words.

mod account;
mod mailbox;
mod send;
mod send_word;
mod walk;

pub(crate) use account::SendsAccount;
pub(crate) use mailbox::Mailbox;
pub use send::SendError;
pub(crate) use send_word::SendWord;
