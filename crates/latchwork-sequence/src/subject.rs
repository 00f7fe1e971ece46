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
    /// One that no sequence should see.
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

/// The library's statistics, as far as they are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those of the CPU that asks: requests taken, unknown edges, deferred edges, and absorbed ones
    /// by kind of grant.
    pub cpu: [usize; 7],
    /// Those of the machine: polls, conditions recovered, debts paid by ticks, probes among them,
    /// debts paid by NMIs that found them overdue.
    pub machine: [usize; 5],
}

impl Counts {
    /// What the CPU's are called in logs.
    pub(crate) const CPU: [&'static str; 7] = [
        "requests",
        "unknown",
        "deferred",
        "absorbed:collapsed",
        "absorbed:late",
        "absorbed:wide",
        "absorbed:outside",
    ];
    /// What the machine's are called in logs.
    pub(crate) const MACHINE: [&'static str; 5] =
        ["polls", "recovered", "paid", "probes", "overdue"];
}

/// The library on a machine. Every function acts on the executing CPU; those that ring may be
/// called in NMIs.
pub trait Subject {
    /// Has the library send a request, that is of no further meaning, to CPU `to`. Says whether it
    /// was sent.
    fn send(&self, to: usize) -> bool;
    /// Rings CPU `to` past the library.
    fn ring(&self, to: usize);
    /// Tells the library that a poll is owed.
    fn owe_poll(&self);
    /// Has the library claim the condition of `source` outside NMIs.
    fn claim_outside_nmi(&self, source: Source, acknowledge: &mut dyn FnMut());
    /// The library's part of a tick.
    fn tick(&self);
    /// The library's part of idling.
    fn idle(&self);
    /// Lets `us` microseconds pass: with maskable interrupts let in, unless it is `busy`.
    fn pass_us(&self, us: u32, busy: bool);
    /// Gives others time to act: with maskable interrupts let in, unless it is `busy`. May return
    /// at any time, and does so soon after `wake`.
    fn rest(&self, busy: bool);
    /// Has `cpu` look again whether it is its turn, if it rests.
    fn wake(&self, cpu: usize);
    /// The library's statistics for `cpu`.
    fn counts(&self, cpu: usize) -> Counts;
}
