// SPDX-License-Identifier: MIT OR Apache-2.0
//! Statistics: per CPU, and per handler and CPU.
//!
//! Each counter is written by one CPU, in NMI, with a load and a store, and read from anywhere.
//! Nothing is decided by them. On x86 the pair compiles to one instruction, so an NMI that nests
//! cannot fall in between; elsewhere a nested NMI there can make a count one too small.

mod cpu;
mod handler;
mod query;
mod storm;
mod unclaimed;

pub use cpu::CpuStats;
pub(crate) use cpu::{CpuCounters, Ending};
pub(crate) use handler::HandlerCounters;
pub use handler::{HISTOGRAM_COLUMNS, HandlerStats};
pub use query::StatsError;
pub(crate) use storm::{StormLimit, Storms};

use crate::primitive::{Counter, Ordering};

#[inline(always)]
fn add(counter: &Counter, amount: usize) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
}
