// SPDX-License-Identifier: MIT OR Apache-2.0
//! Dispatch: one NMI from its [entry] to its end.
//!
//! An [edge](crate::edge) is [explained](explain) by what the handlers [find](ask) now, or else by
//! a ring of the CPU's [ledger](crate::grant). If more must be known, the CPU defers the edge and
//! [settles](settle) it later; an NMI [on top](on_top) of another leaves its edge in the
//! [tray](crate::grant). Otherwise the edge is [unexplained]. Dispatch also watches for
//! [storms](storm_watch), of a handler's claims and of [NMIs that no handler
//! claims](unclaimed_storm). If an unexplained edge is to end the kernel, dispatch elects [one
//! CPU](panic_election) for it.

mod after_leave;
mod ask;
mod entry;
mod explain;
mod on_top;
mod panic_election;
mod report_limiter;
mod settle;
mod storm_watch;
mod unclaimed_storm;
mod unexplained;

pub use entry::{MAX_NESTING, Outcome};
pub(crate) use panic_election::PanicElection;
pub(crate) use report_limiter::ReportLimiter;
