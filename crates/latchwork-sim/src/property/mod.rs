// SPDX-License-Identifier: MIT OR Apache-2.0
//! The properties. Each is a monitor that gets every [fact](crate::machine) of the machine, as an
//! all-knowing observer sees it, and says when its promise is broken.

mod absorption;
mod bounded;
mod conservation;
mod deferred_work;
mod false_unknown;
#[cfg(test)]
mod history;
mod honoured;
mod judges;
mod removal;
mod repeating;
mod said;
mod stranded;
mod stuck_poll;
mod unreported_unknown;

use std::fmt::Debug;

use crate::{
    engine::{Fingerprint, Violation},
    machine::Fact,
};

pub use self::{
    absorption::Absorption,
    bounded::{Bounded, MOST_ACCESSES},
    conservation::Conservation,
    deferred_work::DeferredWork,
    false_unknown::FalseUnknown,
    honoured::{HONOURED_WITHIN_TICKS, Honoured},
    judges::Judges,
    removal::Removal,
    repeating::{REPORTED_AFTER_US, REPORTS_APART_US, Repeating, SETTLED_WITHIN_US},
    said::Said,
    stranded::{RECOVERY_TICKS, Stranded},
    unreported_unknown::UnreportedUnknown,
};

/// One property.
pub trait Monitor: Debug {
    /// Takes in a fact, at that time of the world's clock. `Err` if that breaks the promise.
    fn note(&mut self, at_us: u64, fact: &Fact) -> Result<(), Violation>;

    /// Judges the end, after which nothing happens. `Err` if that breaks the promise.
    fn finish(&self) -> Result<(), Violation> {
        Ok(())
    }

    /// Takes what it remembers into the fingerprint.
    fn fold(&self, fingerprint: &mut Fingerprint);
}
