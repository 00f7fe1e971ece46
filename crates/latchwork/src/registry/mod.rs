// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registry: who is asked, in which order, and how handlers come and go.
//!
//! * What dispatch reads: the [table] of [slots](slot), and the [order] of each class.
//! * How handlers come and go: the [writer] lock, [registration](register) and [removal](remove),
//!   which waits for [quiescence]: until no CPU's [read word](read_word) says that it may be
//!   inside.
//! * What [doorbells](doorbell) are like, and what changes that ([delivery]).
//! * What drivers hold: a [registration], a [pinned] node, a [ticket].

mod claim_outside_nmi;
mod delivery;
mod doorbell;
mod error;
mod order;
mod pinned;
mod quiescence;
mod read_word;
mod register;
mod registration;
mod remove;
mod slot;
mod table;
mod ticket;
mod writer;

pub use error::{EdgesError, HandleError, RegisterError, RemoveFailure, SpecError};
pub use pinned::{PinnedHandler, PinnedRegistration};
#[cfg(test)]
pub(crate) use quiescence::Quiescence;
pub(crate) use read_word::{Nesting, ReadWord};
pub use registration::{Registration, RemoveError};
pub(crate) use slot::Slot;
pub(crate) use table::Registry;
pub use ticket::Ticket;
