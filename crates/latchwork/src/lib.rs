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
mod delivery;
mod dispatch;
mod error;
mod grant;
mod handler;
mod last_resort;
mod lifecycle;
mod limits;
mod moment;
mod name;
mod nmi;
mod order;
mod outside;
mod panic_election;
mod pinned;
mod platform;
mod presence;
mod primitive;
mod quiescence;
mod read_word;
mod recovery;
mod registration;
mod registry;
mod request;
mod slot;
mod standing;
mod stats;
mod storm;
mod subsystem;
#[cfg(test)]
mod tests;
mod ticket;
mod unclaimed;
mod unknown;
mod work;

pub use after_leave::AfterLeave;
pub use context::{Interrupted, Mode, NmiContext, OpaqueFrame, SourceMap};
pub use cpu::{MAX_CPUS, PerCpu};
pub use dispatch::{MAX_NESTING, Outcome};
pub use error::{
    EdgesError, Fatal, HandleError, InDispatch, InitError, LimitsError, PresenceError, QueueError,
    RegisterError, RemoveError, RemoveFailure, RingError, SendError, SpecError, StatsError,
    SyncError,
};
pub use grant::{AbsorbedNmi, GrantKind};
pub use handler::{Claim, Class, Doorbell, EdgeModel, HandlerSpec, NmiHandler, PlatformDelivery};
pub use limits::Limits;
pub use name::Name;
pub use nmi::Nmi;
pub use order::HANDLERS_PER_CLASS;
pub use pinned::{PinnedHandler, PinnedRegistration};
pub use platform::{InterruptState, Platform};
pub use recovery::{Recovery, RecoveryStats};
pub use registration::Registration;
pub use registry::HandlerId;
pub use request::{Request, Requests};
pub use standing::{Granted, OwedPoll};
pub use stats::{CpuStats, HISTOGRAM_COLUMNS, HandlerStats};
pub use storm::{Storm, StormSource};
pub use ticket::Ticket;
pub use unknown::{UnknownKind, UnknownNmi, UnknownPolicy};
pub use work::{Urgency, Work};

/// What the simulated machine plays the memory with.
#[cfg(all(latchwork_simulated, not(test)))]
#[doc(hidden)]
pub use primitive::simulated as simulation;
