// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scenarios in which our policy is known to violate a property: open faults.
//!
//! A test searches each and expects just that violation, so the list says what is true. A scenario
//! that holds belongs into [`SCENARIOS`](super::SCENARIOS).

use super::{Scenario, slow};
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
///
/// In `claims-all-the-while` a CPU has neither ticks nor idles, and takes one NMI after the other
/// that nothing explains. Each lets the rings that may still come live for another cap, since a
/// ring may have waited for its end. So such edges are absorbed for longer, but never more of them
/// than there were rings.
pub static OPEN: &[Open] = &[sampled(
    open(&slow::CLAIMS_ALL_THE_WHILE, Property::N2, "no claim explains, or none any more"),
    5_000,
)];
