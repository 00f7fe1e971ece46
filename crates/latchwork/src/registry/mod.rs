// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registry: which handlers dispatch asks, in which order, and how drivers register and remove
//! them.
//!
//! * Dispatch reads the [table] of [slots](slot), and the [order] of each class.
//! * Drivers [register] and [remove] handlers under the [writer] lock. A removal waits for
//!   [quiescence]: until no CPU's [read word](crate::read_word) says that it may be inside the
//!   handler.
//! * Drivers name [doorbells](doorbell), and change what these are like ([delivery]).
//! * Drivers hold a [registration], a [pinned] node, or a [ticket].

mod claim_outside_nmi;
mod delivery;
mod doorbell;
mod error;
mod order;
mod pinned;
mod quiescence;
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
pub use registration::{Registration, RemoveError};
pub(crate) use slot::Slot;
pub(crate) use table::Registry;
pub use ticket::Ticket;
