// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of the whole crate on a platform made of threads.
//!
//! * [`loom`]: what other CPUs may do and see, exhaustively, on the real code.
//! * [`nested`]: an NMI on the same CPU between any two accesses of the real code, exhaustively.
//! * [`hostile`]: what whoever uses the API carelessly, or an odd clock, can do to it.
//! * [`sequences`]: what a kernel may do, in random sequences.
//! * [`faults`]: what two hostile readings of the core found.
//! * the rest: what each call promises.

mod item;
mod source;
mod world;

#[cfg(not(loom))]
mod dispatch;
#[cfg(not(loom))]
mod faults;
#[cfg(not(loom))]
mod grants;
#[cfg(not(loom))]
mod hostile;
#[cfg(not(loom))]
mod lifecycle;
#[cfg(loom)]
mod loom;
#[cfg(not(loom))]
mod nested;
#[cfg(not(loom))]
mod panicking;
#[cfg(not(loom))]
mod pinned;
#[cfg(not(loom))]
mod recovery;
#[cfg(not(loom))]
mod refusals;
#[cfg(not(loom))]
mod registry;
#[cfg(not(loom))]
mod requests;
#[cfg(not(loom))]
mod scene;
#[cfg(not(any(loom, latchwork_simulated)))]
mod sequences;
#[cfg(not(loom))]
mod sharing;
#[cfg(not(loom))]
mod snapshot;
#[cfg(not(loom))]
mod unclaimed;
#[cfg(not(loom))]
mod work;
