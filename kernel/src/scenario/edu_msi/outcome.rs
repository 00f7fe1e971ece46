// SPDX-License-Identifier: MIT OR Apache-2.0
//! The results of a phase, and the sums over all targets.

/// The results of one phase.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    /// Events raised, which is how often the device rang.
    pub(super) events: u64,
    /// Events that the handler took.
    pub(super) taken: u64,
    /// Requests that the CPU that was rung took.
    pub(super) requests: u64,
    /// NMIs of the CPU that was rung.
    pub(super) edges: u64,
    /// Those of them that found something.
    pub(super) claimed: u64,
    /// Those that found nothing, and that an earlier claim explained.
    pub(super) absorbed: u64,
    /// NMIs of all other CPUs.
    pub(super) elsewhere: u64,
    /// CPUs that were rung and took an NMI.
    pub(super) targets: u64,
    /// Polls that found something for which no edge had asked.
    pub(super) recovered: u64,
    /// Polls by ticks, and by NMIs that found one overdue.
    pub(super) paid_by_tick: u64,
    pub(super) paid_overdue: u64,
    /// Probes that ticks sent.
    pub(super) probes: u64,
}

impl Outcome {
    pub(super) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.taken += other.taken;
        self.requests += other.requests;
        self.edges += other.edges;
        self.claimed += other.claimed;
        self.absorbed += other.absorbed;
        self.elsewhere += other.elsewhere;
        self.targets += other.targets;
        self.recovered += other.recovered;
        self.paid_by_tick += other.paid_by_tick;
        self.paid_overdue += other.paid_overdue;
        self.probes += other.probes;
    }
}

/// The sums over all targets of each phase.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    pub(super) lone: Outcome,
    pub(super) merged: Outcome,
    pub(super) orphaned: Outcome,
    pub(super) collapsed: Outcome,
    pub(super) probed: Outcome,
    pub(super) tickless: Outcome,
    pub(super) storm: Outcome,
}

impl Outcomes {
    /// NMIs on CPUs that were not rung, in all phases but that in which any CPU's tick may send a
    /// probe.
    pub(super) fn elsewhere(&self) -> u64 {
        let Self { lone, merged, orphaned, collapsed, probed: _, tickless, storm } = self;
        [lone, merged, orphaned, collapsed, tickless, storm].iter().map(|it| it.elsewhere).sum()
    }
}
