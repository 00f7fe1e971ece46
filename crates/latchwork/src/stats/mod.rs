// SPDX-License-Identifier: MIT OR Apache-2.0
//! Statistics: per CPU, and per handler and CPU.
//!
//! One CPU writes each counter, in NMI, by a load and a store; any CPU may read it. The library
//! decides nothing by them. On x86 the pair compiles to one instruction, so a nested NMI cannot
//! fall in between; on other architectures it can, and then makes a count one too small.

mod cpu;
mod handler;
mod query;
mod storm;
mod storm_end;
mod unclaimed;

pub use cpu::CpuStats;
pub(crate) use cpu::{CpuCounters, Ending};
pub use handler::{HISTOGRAM_COLUMNS, HandlerStats};
pub(crate) use handler::{HandlerCounters, Millisecond};
pub use query::StatsError;
pub(crate) use storm::{StormLimit, Storms};
pub(crate) use storm_end::{end_storm, end_storms_of_removed};

use crate::primitive::{Counter, Ordering};

#[inline(always)]
fn add(counter: &Counter, amount: usize) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
}
