// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
#![no_std]
// Nearly everything here can be reached from an NMI, where a panic would be the end. So the whole
// crate does without.
#![cfg_attr(
    not(test),
    deny(
        clippy::panic,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(test)]
extern crate std;

mod after_leave;
mod context;
mod core_state;
mod cpu;
mod dispatch;
mod error;
mod handler;
mod lifecycle;
mod name;
mod nmi;
mod order;
mod pinned;
mod platform;
mod presence;
mod primitive;
mod quiescence;
mod read_word;
mod registration;
mod registry;
mod request;
mod slot;
mod stats;
#[cfg(test)]
mod tests;
mod ticket;
mod unknown;
mod work;

pub use after_leave::AfterLeave;
pub use context::{Interrupted, Mode, NmiContext, OpaqueFrame, SourceMap};
pub use cpu::{MAX_CPUS, PerCpu};
pub use dispatch::{MAX_NESTING, Outcome};
pub use error::{
    Fatal, HandleError, InDispatch, InitError, PresenceError, QueueError, RegisterError,
    RemoveError, RemoveFailure, RingError, SendError, StatsError, SyncError,
};
pub use handler::{Claim, Class, Doorbell, EdgeModel, HandlerSpec, NmiHandler};
pub use name::Name;
pub use nmi::Nmi;
pub use order::HANDLERS_PER_CLASS;
pub use pinned::{PinnedHandler, PinnedRegistration};
pub use platform::{InterruptState, Platform, WorkPlatform};
pub use registration::Registration;
pub use registry::HandlerId;
pub use request::{Request, Requests};
pub use stats::{CpuStats, HISTOGRAM_COLUMNS, HandlerStats};
pub use ticket::Ticket;
pub use unknown::{UnknownNmi, UnknownPolicy};
pub use work::{Urgency, Work};

/// What the simulated machine plays the memory with.
#[cfg(all(latchwork_simulated, not(test)))]
#[doc(hidden)]
pub use primitive::simulated as simulation;
