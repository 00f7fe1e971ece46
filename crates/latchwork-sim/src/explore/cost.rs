// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a policy costs on one CPU, and on many.

use super::{Entry, Reach};
use crate::cost::{Cost, Load, measure as measure_load};

/// What a policy costs on a number of CPUs, each with ten thousand PMIs a second.
#[derive(Clone, Copy, Debug)]
pub struct CostAt {
    /// The number.
    pub cpus: usize,
    /// The cost.
    pub cost: Cost,
}

const CPUS: [usize; 2] = [1, 256];
const PMI_HZ: u64 = 10_000;

pub(super) fn measure(entry: &Entry, reach: Reach) -> [CostAt; 2] {
    let for_us = match reach {
        Reach::Preemptions(_) => 50_000,
        Reach::Full => 200_000,
    };
    CPUS.map(|cpus| {
        let cost = measure_load(&entry.policy, Load { cpus, pmi_hz: PMI_HZ, for_us });
        CostAt { cpus, cost }
    })
}
