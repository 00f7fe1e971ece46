// SPDX-License-Identifier: MIT OR Apache-2.0
//! The results of the events towards all targets.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::scenario::Tally;
use crate::time;

/// The events of one source, with recovery or without.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) events: Tally,
    /// Found within the limit.
    pub(super) found: Tally,
    /// Not found within it.
    pub(super) lost: Tally,
    /// Of those, found once recovery was on again.
    pub(super) found_again: Tally,
    longest_wait_ticks: AtomicU64,
}

impl Outcome {
    const fn new() -> Self {
        Self {
            events: Tally::new(),
            found: Tally::new(),
            lost: Tally::new(),
            found_again: Tally::new(),
            longest_wait_ticks: AtomicU64::new(0),
        }
    }

    /// Counts an event that was found after `waited_ticks`, or that was not found.
    pub(super) fn note(&self, waited_ticks: Option<u64>) {
        self.events.add(1);
        match waited_ticks {
            Some(ticks) => {
                self.found.add(1);
                self.longest_wait_ticks.fetch_max(ticks, Ordering::Relaxed);
            }
            None => self.lost.add(1),
        }
    }

    pub(super) fn longest_wait_us(&self) -> u64 {
        self.longest_wait_ticks.load(Ordering::Relaxed) * 1_000 / time::ticks_per_ms()
    }
}

/// A source of events.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// The PCI device, in which a CPU raises them.
    Device,
    /// The host.
    Host,
}

/// The sums over all sources, with recovery or without.
#[derive(Debug)]
pub(super) struct Counts {
    /// Rings towards the targets, and NMIs that came of them.
    pub(super) rings: Tally,
    pub(super) edges: Tally,
    /// Polls that found something though no unexplained edge had asked for them.
    pub(super) recovered: Tally,
    /// Probes that ticks sent.
    pub(super) probes: Tally,
}

impl Counts {
    const fn new() -> Self {
        Self {
            rings: Tally::new(),
            edges: Tally::new(),
            recovered: Tally::new(),
            probes: Tally::new(),
        }
    }

    /// Rings that collapsed into others: each is one NMI less.
    pub(super) fn collapsed(&self) -> u64 {
        self.rings.get().saturating_sub(self.edges.get())
    }
}

/// All that was seen.
#[derive(Debug)]
pub(super) struct Outcomes {
    recovering: [Outcome; 2],
    not_recovering: [Outcome; 2],
    counts: [Counts; 2],
}

impl Outcomes {
    pub(super) const fn new() -> Self {
        Self {
            recovering: [const { Outcome::new() }; 2],
            not_recovering: [const { Outcome::new() }; 2],
            counts: [const { Counts::new() }; 2],
        }
    }

    pub(super) const fn counts(&self, recovering: bool) -> &Counts {
        &self.counts[recovering as usize]
    }

    /// Events that the host was asked for.
    pub(super) fn host_events(&self) -> u64 {
        let of = |recovering| self.of(Source::Host, recovering).events.get();
        of(true) + of(false)
    }

    pub(super) const fn of(&self, source: Source, recovering: bool) -> &Outcome {
        let outcomes = if recovering { &self.recovering } else { &self.not_recovering };
        &outcomes[source as usize]
    }
}
