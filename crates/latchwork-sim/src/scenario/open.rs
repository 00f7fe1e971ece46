// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scenarios in which our policy is known to violate a property: open faults.
//!
//! A test searches each and expects just that violation, so the list says what is true. A scenario
//! that holds belongs into [`SCENARIOS`](super::SCENARIOS).

use super::{Scenario, absent, clocks, elsewhere, going, hung, rings, slow};
use crate::engine::Property;

/// A scenario, and what is violated there where ticks pay debts by a poll.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// The property.
    pub violates: Property,
    /// What the violation's text contains.
    pub says: &'static str,
    /// So many random executions find it; if there is no such number, the exhaustive search does.
    pub seeds: Option<u64>,
}

const fn open(scenario: &'static Scenario, violates: Property, says: &'static str) -> Open {
    Open { scenario, violates, says, seeds: None }
}

const fn sampled(open: Open, seeds: u64) -> Open {
    Open { seeds: Some(seeds), ..open }
}

/// All of them.
pub static OPEN: &[Open] = &[
    open(&absent::SENT_TO_ABSENT, Property::C, "CPU 1 never serves a send"),
    open(&absent::QUEUED_ON_ABSENT, Property::H, "item 0 was queued and does not run"),
    open(&clocks::CLOCK_FAR_AHEAD, Property::N1, "reports Unknown for an edge of: external 0"),
    open(&elsewhere::CLAIMED_ELSEWHERE, Property::N3, "CPU 1 does not settle a true unknown"),
    open(&going::GOES_BESIDE_POLL, Property::L, "external 0 is not recovered"),
    open(&going::GOES_FOR_GOOD, Property::D, "item 0 was queued and never runs"),
    open(&going::STOP_BEFORE_GOING, Property::H, "CPU 0 parks outside an NMI"),
    open(&going::STOP_OF_FORMER_LIFE, Property::H, "CPU 0 parks, and nobody has asked it to"),
    open(&going::DEFERRED_AND_GONE, Property::N3, "are in no count"),
    open(&going::STORM_AND_GONE, Property::H, "the end of a storm on CPU 0 is never told"),
    open(&hung::HUNG_IN_POLL, Property::N3, "CPU 1 does not settle a true unknown"),
    open(&hung::SENDER_HANGS, Property::N3, "a true unknown repeats, and nobody says so"),
    open(&rings::STOP_WHOSE_RING_FAILS, Property::H, "CPU 0 parks outside an NMI"),
    open(&rings::STOP_IN_REGISTRATION, Property::Deadlock, "CPUs 2 wait"),
    open(&rings::MANY_SENDS, Property::N1, "reports Unknown for an edge of: send"),
    open(&rings::CHAIN_OF_SENDS, Property::N1, "reports LateSend for an edge of: send"),
    open(&rings::ROUTE_NARROWED, Property::N1, "reports Unknown for an edge of: external 0"),
    open(&slow::SLOW_CLAIM, Property::N1, "reports Unknown for an edge of: PMI"),
    sampled(
        open(&slow::CLAIMS_ALL_THE_WHILE, Property::N2, "no claim explains, or none any more"),
        1_000,
    ),
    open(&slow::OWING_ON_TOP, Property::L, "external 0 stays set, and nobody looks any more"),
];
