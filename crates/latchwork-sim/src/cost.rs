// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a policy costs, measured on the same machine without searching: PMIs on every CPU at a
//! steady rate, a tick on each, now and then an external event whose ring collapses into a PMI, and
//! a true unknown that repeats.
//!
//! Nothing here is random, so that a figure changes only where the policy does. CPUs take their
//! interrupts one after the other, each at its time, and never two of them at the same time.

mod load;
mod meter;

pub use load::{Load, measure};
pub use meter::Cost;
