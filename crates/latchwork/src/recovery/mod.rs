// SPDX-License-Identifier: MIT OR Apache-2.0
//! Recovering machine-wide events whose ring was lost.
//!
//! A dispatch that found a Local condition does not ask the Platform handlers: that would cost
//! every performance-counter interrupt a lock and slow reads. But its edge may be two, collapsed.
//! So its CPU [owes](debt) a poll. Each CPU's [`tick`] pays a debt that is a tick period old, by a
//! [`poll`] of its own or by an NMI to itself; an NMI that finds the debt overdue pays it as well.
//! A CPU that fails to take the poll's [lock](poll_lock) also owes a poll, and [defers](deferred)
//! its edge if nothing else explains it.

mod debt;
mod deferred;
mod duties;
mod mode;
mod outside_nmi;
mod owe;
mod poll;
mod poll_lock;
mod reason;
mod settings;
mod state;
mod stats;
mod tick;

pub(crate) use deferred::DeferredEdges;
pub(crate) use duties::Duties;
pub use mode::Recovery;
pub(crate) use reason::{PollOutcome, PollReason};
pub(crate) use state::RecoveryState;
pub use stats::RecoveryStats;
