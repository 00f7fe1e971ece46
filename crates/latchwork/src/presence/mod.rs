// SPDX-License-Identifier: MIT OR Apache-2.0
//! Presence: CPUs that go offline and come back ([`lifecycle`]), and the [word] that says which
//! CPUs are offline.

mod lifecycle;
mod word;

pub use lifecycle::PresenceError;
pub(crate) use word::Presence;
