// SPDX-License-Identifier: MIT OR Apache-2.0
//! Dispatch: one NMI from its [entry] to its end.
//!
//! An edge is [explained](explain) by what is [found](ask) now, or else by a grant that
//! [absorbs](absorb) it, or it is deferred until more is known and [settled](settle) then, or it is
//! [unexplained]. [Storms](storm_watch) of claims are watched on the way, and [those that nobody
//! claims](unclaimed_storm). Where an unexplained edge is to end the kernel, [one
//! CPU](panic_election) is elected for it.

mod absorb;
mod after_leave;
mod ask;
mod entry;
mod explain;
mod panic_election;
mod report_limiter;
mod settle;
mod storm_watch;
mod unclaimed_storm;
mod unexplained;

pub use entry::{MAX_NESTING, Outcome};
pub(crate) use panic_election::PanicElection;
pub(crate) use report_limiter::ReportLimiter;
