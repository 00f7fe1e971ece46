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
mod told;

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
    told::Told,
};

/// One property.
pub trait Monitor: Debug {
    /// Something has happened, at that time of the world's clock. `Err` if that breaks the promise.
    fn note(&mut self, at_us: u64, fact: &Fact) -> Result<(), Violation>;

    /// Nothing happens any more. `Err` if that breaks the promise.
    fn finish(&self) -> Result<(), Violation> {
        Ok(())
    }

    /// Takes in what it remembers.
    fn fold(&self, fingerprint: &mut Fingerprint);
}
