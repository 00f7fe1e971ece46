// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rounds of events: each CPU raises one after the other, while the target has its flood.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use super::block;
use super::outcome::{Counts, Outcome, Outcomes, Source};
use super::pay_polls;
use crate::cpu::MAX_CPUS;
use crate::nmi::NMI;
use crate::scenario::edu_msi::events::{self, EVENTS};
use crate::scenario::{Run, pmu, sleepers};
use crate::waiting::{Waiting, awaited};
use crate::{console, patience, smp, time};

/// Events of each source, over all targets together.
pub(super) const DEVICE_EVENTS: u64 = 64;
pub(super) const HOST_EVENTS: u64 = 32;

/// Events of each source that must be lost where no CPU pays polls, over all targets together; and
/// how many events CPUs raise for each of them.
pub(super) const LOSSES: u64 = 4;
const TRIES_A_LOSS: u64 = 4;

/// Where CPUs pay polls, a round gives up after this many losses.
const ENOUGH_LOSSES: u64 = 3;

/// Overflows in a burst.
const BURST: u64 = 64;

/// How long an event may wait: until the poll has been owed for a tick period, and the next tick.
/// Where CPUs run in parallel, the host decides when they run.
pub(super) const LIMIT_US: u64 = 1_000_000;
pub(super) const INSTRUCTION_LIMIT_US: u64 = 2_500;

/// How long to wait for an event where no CPU pays polls.
const LOST_AFTER_MS: u64 = 40;
const LOST_AFTER_INSTRUCTION_MS: u64 = 8;

/// Events of the device that each CPU raises in its next burst, one bit each. A thread of that CPU
/// writes them; its NMI takes them.
static ORDERS: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

/// Too many events were lost: the scenario goes no further.
static STALLED: AtomicBool = AtomicBool::new(false);

/// Whether too many events were lost.
pub(super) fn stalled() -> bool {
    STALLED.load(Ordering::Relaxed)
}

/// How long an event may wait.
pub(super) fn limit_us() -> u64 {
    if time::is_instruction_clock() { INSTRUCTION_LIMIT_US } else { LIMIT_US }
}

/// Raises the events that were ordered for this CPU's burst. NMI-safe.
pub(super) fn raise_what_was_ordered(cpu: usize) {
    let Some(order) = ORDERS.get(cpu) else {
        return;
    };
    if order.load(Ordering::Relaxed) != 0 {
        events::raise_each(order.swap(0, Ordering::Relaxed));
    }
}

/// Events towards one target, with recovery or without.
pub(super) struct Rounds<'a> {
    run: &'a Run,
    outcomes: &'a Outcomes,
    target: usize,
    /// The CPU that has the flood.
    flooded: Option<usize>,
    recovering: bool,
}

impl<'a> Rounds<'a> {
    pub(super) fn new(
        run: &'a Run,
        outcomes: &'a Outcomes,
        target: usize,
        recovering: bool,
    ) -> Self {
        let flooded = match () {
            () if run.has_fault("no-flood") => None,
            () if run.has_fault("flood-elsewhere") => Some((target + 1) % run.cpus),
            () => Some(target),
        };
        Self { run, outcomes, target, flooded, recovering }
    }

    /// All events of `source`, once the flood has begun.
    pub(super) fn events_of(&self, source: Source) {
        let left = AtomicUsize::new(self.raisers(source));
        let overflows = || self.flooded.map_or(0, pmu::overflows);
        let before = overflows();
        let has_flood = |cpu| self.flooded.is_none_or(|it| it == cpu) || overflows() != before;
        smp::on_all_cpus(&|cpu| {
            if self.raises(source, cpu) {
                patience::sleep_until(awaited!("the flood to begin"), || has_flood(cpu));
                self.events_from(source, cpu);
                left.fetch_sub(1, Ordering::Release);
            }
            let waiting = Waiting::begin(awaited!("the others to have raised their events"));
            while self.flooded == Some(cpu) && left.load(Ordering::Acquire) != 0 {
                waiting.check();
                self.pass_time(cpu);
            }
        });
    }

    /// Whether `cpu` raises events of `source`, or asks the host to. A CPU that is alone makes the
    /// device ring in its own NMIs. Without recovery, which all CPUs share, one CPU is enough.
    fn raises(&self, source: Source, cpu: usize) -> bool {
        match source {
            Source::Host => cpu == 0,
            Source::Device if self.recovering => cpu != self.target || self.run.cpus == 1,
            Source::Device => cpu == (self.target + 1) % self.run.cpus,
        }
    }

    fn raisers(&self, source: Source) -> usize {
        (0..self.run.cpus).filter(|cpu| self.raises(source, *cpu)).count()
    }

    fn events_from(&self, source: Source, cpu: usize) {
        let outcome = self.outcomes.of(source, self.recovering);
        let cpus = self.run.cpus as u64;
        let all = match source {
            _ if !self.recovering => LOSSES * TRIES_A_LOSS,
            Source::Device => self.run.cycles(DEVICE_EVENTS),
            Source::Host => HOST_EVENTS,
        };
        let losses = LOSSES.div_ceil(cpus);
        let lost_before = outcome.lost.get();
        for number in 0..all.div_ceil(cpus * self.raisers(source) as u64) {
            if stalled() || !self.recovering && outcome.lost.get() - lost_before >= losses {
                return;
            }
            match source {
                Source::Device => self.device_event(cpu, number, outcome),
                Source::Host => self.host_event(cpu, outcome),
            }
            if self.recovering && outcome.lost.get() >= ENOUGH_LOSSES {
                STALLED.store(true, Ordering::Relaxed);
            }
        }
    }

    fn device_event(&self, cpu: usize, number: u64, outcome: &Outcome) {
        const OWN_EVENTS: usize = EVENTS / MAX_CPUS;
        let event = cpu * OWN_EVENTS + number as usize % OWN_EVENTS;
        let is_raised = || ORDERS[cpu].load(Ordering::Relaxed) == 0;
        let is_found = || is_raised() && events::is_taken(event);
        self.watch(cpu, outcome, is_found, || {
            if cpu == self.target {
                ORDERS[cpu].store(1 << event, Ordering::Relaxed);
            } else {
                events::raise(event);
            }
            let found = self.wait_until_or_ms(cpu, is_found, self.patience_ms());
            found.then(|| events::waited_ticks(event))
        });
    }

    fn host_event(&self, cpu: usize, outcome: &Outcome) {
        let (raised, claimed) = (block::raised(), block::claimed());
        let is_found = || block::claimed() != claimed;
        self.watch(cpu, outcome, is_found, || {
            block::ask_for_event();
            let mut seen_at_ticks = None;
            let _waiting = Waiting::begin(awaited!("the host's answer").without_limit());
            while !console::has_answered() {
                if seen_at_ticks.is_none() && block::raised() != raised {
                    seen_at_ticks = Some(time::now_ticks());
                }
                self.pass_time(cpu);
            }
            let found = self.wait_until_or_ms(cpu, is_found, self.patience_ms());
            let found_at_ticks = block::claimed_at_ticks();
            let seen_at_ticks = seen_at_ticks.unwrap_or(found_at_ticks);
            found.then(|| found_at_ticks.saturating_sub(seen_at_ticks))
        });
    }

    /// Notes the result of an event: how long it waited, if the library found it. If it did not,
    /// since no CPU pays polls, this function looks for it again later.
    fn watch(
        &self,
        cpu: usize,
        outcome: &Outcome,
        is_found: impl Fn() -> bool,
        event: impl FnOnce() -> Option<u64>,
    ) {
        if self.recovering {
            let limit_ticks = limit_us() * time::ticks_per_ms() / 1_000;
            outcome.note(event().filter(|waited| *waited <= limit_ticks));
            return;
        }
        pay_polls(false);
        let waited_ticks = event();
        outcome.note(waited_ticks);
        pay_polls(true);
        if waited_ticks.is_none() && self.wait_until_or_ms(cpu, is_found, patience::LIMIT_MS) {
            outcome.found_again.add(1);
        }
    }

    fn patience_ms(&self) -> u64 {
        match time::is_instruction_clock() {
            _ if self.recovering => limit_us().div_ceil(1_000),
            true => LOST_AFTER_INSTRUCTION_MS,
            false => LOST_AFTER_MS,
        }
    }

    /// Waits until `done`, and keeps the flood going if this is the CPU that has it. Returns
    /// whether it came within the limit.
    fn wait_until_or_ms(&self, cpu: usize, done: impl Fn() -> bool, limit_ms: u64) -> bool {
        let event = awaited!("an event to be found");
        if self.flooded != Some(cpu) {
            return sleepers::wait_until_or_ms(event, done, limit_ms);
        }
        let _waiting = Waiting::begin(event);
        let start_ticks = time::now_ticks();
        let limit_ticks = limit_ms * time::ticks_per_ms();
        while !done() && time::now_ticks().saturating_sub(start_ticks) <= limit_ticks {
            self.pass_time(cpu);
        }
        done()
    }

    /// Passes a moment of a thread that waits busily: by a burst, if `cpu` has the flood. It then
    /// executes no PAUSE, at which QEMU under the deterministic clock would always go on to the
    /// next CPU between two bursts.
    fn pass_time(&self, cpu: usize) {
        if self.flooded == Some(cpu) {
            pmu::burst(cpu, BURST);
        } else {
            core::hint::spin_loop();
        }
    }
}

/// Counts rings towards `target`, and NMIs there, while `act` goes on.
pub(super) fn account(
    run: &Run,
    target: usize,
    saw: &Outcomes,
    recovering: bool,
    act: impl FnOnce(),
) {
    let counts_so_far = || {
        let stats = NMI.cpu_stats(target).unwrap_or_default();
        let device_rings = events::totals().0;
        let host_rings = saw.host_events();
        let own_rings = pmu::overflows(target) + stats.requests as u64;
        let recovery = NMI.recovery_stats();
        [
            own_rings + device_rings + host_rings,
            stats.edges as u64,
            recovery.recovered as u64,
            recovery.probes as u64,
        ]
    };
    run.settle();
    let before = counts_so_far();
    act();
    run.settle();
    let after = counts_so_far();
    let Counts { rings, edges, recovered, probes } = saw.counts(recovering);
    let tallies = [rings, edges, recovered, probes];
    for ((tally, before), after) in tallies.into_iter().zip(before).zip(after) {
        tally.add(after - before);
    }
}
