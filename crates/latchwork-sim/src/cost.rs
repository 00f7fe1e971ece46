// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures what a policy costs, on the same machine and without a search. Every CPU takes PMIs at
//! a steady rate and ticks. Now and then the ring of an external event collapses into a PMI, and a
//! true unknown repeats.
//!
//! Nothing here is random, so a figure changes only if the policy does. CPUs take their interrupts
//! one after the other, each at its time, and no two at the same time.

mod load;
mod meter;

pub use load::{Load, measure};
pub use meter::Cost;
