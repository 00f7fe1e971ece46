// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library on a machine, as sequences need it.

use crate::step::Source;

/// How a dispatch ended, as the library says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the library's own words")]
pub enum Ending {
    Claimed,
    Absorbed,
    Deferred,
    Unknown,
    /// An ending that no sequence should see.
    Other,
}

impl Ending {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Absorbed => "absorbed",
            Self::Deferred => "deferred",
            Self::Unknown => "unknown",
            Self::Other => "not dispatched",
        }
    }
}

/// Those of the library's statistics that `cargo xtask compare` compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those of the CPU that asks: requests taken, unknown edges, deferred edges, and absorbed
    /// ones. Not by kind: which of several rings is due earliest hangs on microseconds.
    pub cpu: [usize; 4],
    /// Those of the machine: polls, conditions recovered, debts paid by ticks, probes among them,
    /// debts paid by NMIs that found them overdue.
    pub machine: [usize; 5],
}

impl Counts {
    /// The names of the CPU's in logs.
    pub(crate) const CPU: [&'static str; 4] = ["requests", "unknown", "deferred", "absorbed"];
    /// The names of the machine's in logs.
    pub(crate) const MACHINE: [&'static str; 5] =
        ["polls", "recovered", "paid", "probes", "overdue"];
}

/// The library on a machine. Every function acts on the executing CPU; those that ring may be
/// called in NMIs.
pub trait Subject {
    /// Makes the library send CPU `to` a request without further meaning. Returns whether the
    /// library sent it.
    fn send(&self, to: usize) -> bool;
    /// Rings CPU `to` past the library.
    fn ring(&self, to: usize);
    /// Tells the library that a poll is owed.
    fn owe_poll(&self);
    /// Makes the library claim the condition of `source` outside NMIs.
    fn claim_outside_nmi(&self, source: Source, acknowledge: &mut dyn FnMut());
    /// The library's part of a tick.
    fn tick(&self);
    /// The library's part of idling.
    fn idle(&self);
    /// Lets `us` microseconds pass, and maskable interrupts in, unless it is `busy`.
    fn pass_us(&self, us: u32, busy: bool);
    /// Gives others time to act, and lets maskable interrupts in, unless it is `busy`. May return
    /// at any time, and does so soon after `wake`.
    fn rest(&self, busy: bool);
    /// Makes `cpu` check again whether it is its turn, if it rests.
    fn wake(&self, cpu: usize);
    /// The library's statistics for `cpu`.
    fn counts(&self, cpu: usize) -> Counts;
}
