// SPDX-License-Identifier: MIT OR Apache-2.0
//! The contract: what a kernel provides ([`Platform`]), what a driver provides ([`NmiHandler`],
//! with a [`HandlerSpec`]), and what the library hands or reports to either.

mod after_leave;
mod capacity;
mod claim;
mod context;
mod error;
mod handler;
mod interrupted;
mod name;
mod platform;
mod report;
mod request;
mod snapshot;
mod spec;
mod storm;

pub use after_leave::AfterLeave;
pub use capacity::{HANDLERS_PER_CLASS, MAX_CPUS};
pub use claim::Claim;
pub use context::NmiContext;
pub(crate) use error::STALE_HANDLE;
pub use error::{Fatal, InDispatch, RingError};
pub use handler::NmiHandler;
pub use interrupted::{Interrupted, Mode, OpaqueFrame, SourceMap};
pub use name::Name;
pub use platform::{InterruptState, Platform};
pub use report::{AbsorbedNmi, GrantKind, UnknownKind, UnknownNmi, UnknownPolicy};
pub use request::{Request, Requests};
pub use snapshot::{Granted, OwedPoll};
pub use spec::{Class, Doorbell, EdgeModel, HandlerId, HandlerSpec, PlatformDelivery};
pub use storm::{Storm, StormSource};
