// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time: [timestamps](timestamp), the [limits] by which grants and recovery go, and the clock that
//! splits a dispatch among its handlers.

mod handler_clock;
mod limits;
mod timestamp;

pub(crate) use handler_clock::HandlerClock;
pub(crate) use limits::{InTicks, LimitsInForce};
pub use limits::{Limits, LimitsError};
pub(crate) use timestamp::{OwnTime, Timestamp};
