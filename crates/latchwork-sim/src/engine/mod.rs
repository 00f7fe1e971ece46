// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs a [`World`] in every order, in random orders, or in one order again.

mod calls;
mod core;
mod coroutine;
mod cpu;
mod driver;
mod fingerprint;
mod memory;
mod panics;
mod place;
mod search;
mod store_buffer;
#[cfg(test)]
mod tests;
mod timeline;
mod trace;
mod world;

pub use calls::{
    Observed, accesses, at_rest, hardware, memory_fence, note, observe, relax, this_cpu,
};
pub use fingerprint::Fingerprint;
pub use place::Place;
pub use search::{
    Bounds, Build, Counterexample, Limit, Replay, Report, Verdict, exhaust, minimise, replay,
    sample,
};
pub use timeline::{Detail, Entry, Timeline};
pub use trace::{Deviation, Trace, TraceError};
pub use world::{Access, Event, Interruption, Property, Violation, World};
