// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
#![no_std]
// An NMI can reach nearly everything here, and a panic in an NMI would be the end. So the whole
// crate does without panics.
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

// What a kernel and its drivers provide, and what the library reports to them.
mod contract;

// One idea each. Such a module owns its state and adds its calls to `Nmi`.
mod dispatch; // one NMI, from entry to end
mod grant; // which edge without a condition is explained
mod presence; // CPUs that go offline and come back
mod recovery; // machine-wide events whose ring was lost
mod registry; // who is asked, and how handlers come and go
mod request; // NMIs that software sends
mod work; // what an NMI leaves for later

// What ties these modules together: the state that all CPUs share, and that of each CPU.
mod cpu;
mod edge; // what the library remembers of an NMI
mod nmi;
mod read_word; // by which a CPU says where it is
mod self_ring;
mod send_wait;
mod subsystem; // and whose a thing is, where there are several

// What they are made of.
mod primitive;
mod stats;
mod time;

#[cfg(test)]
mod tests;

pub use contract::{
    AbsorbedNmi, AfterLeave, Claim, Class, Doorbell, EdgeModel, Fatal, GrantKind, Granted,
    HANDLERS_PER_CLASS, HandlerId, HandlerSpec, InDispatch, InterruptState, Interrupted, MAX_CPUS,
    Mode, Name, NmiContext, NmiHandler, OpaqueFrame, OwedPoll, Platform, PlatformDelivery, Request,
    Requests, RingError, SourceMap, Storm, StormSource, UnknownKind, UnknownNmi, UnknownPolicy,
};
pub use cpu::PerCpu;
pub use dispatch::{MAX_NESTING, Outcome};
pub use nmi::{InitError, Nmi};
pub use presence::PresenceError;
pub use recovery::{Recovery, RecoveryStats};
pub use registry::{
    EdgesError, HandleError, PinnedHandler, PinnedRegistration, RegisterError, Registration,
    RemoveError, RemoveFailure, SpecError, Ticket,
};
pub use request::SendError;
pub use stats::{CpuStats, HISTOGRAM_COLUMNS, HandlerStats, StatsError};
pub use time::{Limits, LimitsError};
pub use work::{QueueError, SyncError, Urgency, Work};

/// What the simulated machine plays the memory with.
#[cfg(all(latchwork_simulated, not(test)))]
#[doc(hidden)]
pub use primitive::simulated as simulation;
