// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deferred work: what an NMI cannot do itself runs soon after, with interrupts off, outside NMIs.
//!
//! * [`item`]: the item and its state;
//! * [`list`]: the queue, one for each CPU and [`Urgency`];
//! * [`line`](mod@line): one CPU's lists;
//! * [`queue`]: putting an item on a list, and notifying the CPU that will run it;
//! * [`run`]: running lists, also those that an offline CPU left;
//! * [`sync`]: waiting for an item.

mod item;
mod line;
mod list;
mod queue;
mod run;
mod sync;

pub use item::{Urgency, Work};
pub(crate) use line::WorkLine;
pub use queue::QueueError;
pub use sync::SyncError;
