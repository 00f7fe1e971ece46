// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long things last in a scenario.

/// The limits of the subsystem, and the times of a scenario, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long after the claim of its condition an edge may still come, for doorbells that name no
    /// other lateness. At least [`Hardware::delivery_us`](super::Hardware::delivery_us), which the
    /// machine promises.
    pub late_us: u64,
    /// For how long a CPU may absorb edges at most.
    pub cap_us: u64,
    /// How old a debt is when an NMI pays it.
    pub overdue_us: u64,
    /// How long an unfinished send holds grants.
    pub hold_us: u64,
    /// Sources raise nothing later than this after the beginning.
    pub quiet_us: u64,
    /// No tick comes later than this after the beginning. What the ticks before it did not recover
    /// is lost.
    pub horizon_us: u64,
    /// How much time a [step](super::Happening::Step) lasts.
    pub step_us: u64,
    /// How long a stall lasts at most.
    pub stall_us: u64,
    /// How long an SMI lasts at most.
    pub smi_us: u64,
    /// How long a CPU parks that takes STOP.
    pub park_us: u64,
    /// How long a driver takes from its look at a condition to its acknowledgement, outside an NMI.
    pub claim_us: u64,
    /// How long a CPU takes to make a ring, before its edge sets out.
    pub ring_us: u64,
    /// More true unknowns than this in 100 ms are a storm.
    pub unknowns_per_100_ms: u32,
    /// After the first ring of a source without status, the others come by themselves at this
    /// period.
    pub press_period_us: Option<u64>,
}

impl Timing {
    /// Times that fit bare metal, short enough for exhaustive search: one tick period in which
    /// sources may raise something, and two in which it must be recovered.
    pub const SHORT: Self = Self {
        late_us: 200,
        cap_us: 10_000,
        overdue_us: 4_000,
        hold_us: 10_000,
        quiet_us: 600,
        horizon_us: 2_700,
        step_us: 250,
        stall_us: 1_000,
        smi_us: 300,
        park_us: 1_500,
        claim_us: 0,
        ring_us: 0,
        unknowns_per_100_ms: 10,
        press_period_us: None,
    };
}
