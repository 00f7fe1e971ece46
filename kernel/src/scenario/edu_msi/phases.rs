// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is done to one CPU after the other while it is the one that the device rings.

use core::sync::atomic::{AtomicBool, Ordering};

use latchwork::{CpuStats, Request};

use super::events::{self, EVENTS};
use crate::cpu::MAX_CPUS;
use crate::nmi::NMI;
use crate::scenario::{Run, sleepers};
use crate::{apic, smp, time};

/// Events of the phases in which several CPUs raise them, over all targets together.
pub(super) const LONE_EVENTS: u64 = 1_000;
pub(super) const STORM_EVENTS: u64 = 2_000;
/// Rounds on each target in the phases in which the target raises events inside its NMIs.
pub(super) const NESTED_ROUNDS: u64 = 32;
/// Events that are raised while the target's NMIs are blocked.
pub(super) const MERGED_EVENTS: usize = 8;
/// Events of each CPU in a storm.
const OWN_EVENTS: usize = EVENTS / MAX_CPUS;

/// An event did not come in time: go no further.
static STALLED: AtomicBool = AtomicBool::new(false);

/// What came of one phase.
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
    /// Those of them that were explained.
    pub(super) claimed: u64,
    /// NMIs of all other CPUs.
    pub(super) elsewhere: u64,
    /// CPUs that were rung and took an NMI.
    pub(super) targets: u64,
}

impl Outcome {
    /// NMIs that found the status taken already.
    pub(super) const fn orphans(&self) -> u64 {
        self.edges.saturating_sub(self.claimed)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.taken += other.taken;
        self.requests += other.requests;
        self.edges += other.edges;
        self.claimed += other.claimed;
        self.elsewhere += other.elsewhere;
        self.targets += other.targets;
    }
}

/// Whether an event did not come in time.
pub(super) fn stalled() -> bool {
    STALLED.load(Ordering::Relaxed)
}

/// Waits until `done`, or notes that it did not come in time.
fn wait_until(done: impl Fn() -> bool) -> bool {
    let came = sleepers::wait_until(|| done() || stalled()) && !stalled();
    if !came {
        STALLED.store(true, Ordering::Relaxed);
    }
    came
}

fn edges_of(cpu: usize) -> u64 {
    NMI.cpu_stats(cpu).map_or(0, |stats| stats.edges as u64)
}

/// Runs one phase towards `target`, lets all of it arrive, and says what came of it.
fn account(run: &Run, target: usize, phase: impl FnOnce()) -> Outcome {
    let stats_of = |cpu| NMI.cpu_stats(cpu).unwrap_or_default();
    let all_edges = || (0..run.cpus).map(edges_of).sum::<u64>();
    let (stats_before, edges_before) = (stats_of(target), all_edges());
    let (raised_before, taken_before) = events::totals();
    phase();
    run.settle();
    let CpuStats { edges, claimed, requests, .. } = stats_of(target);
    let edges = (edges - stats_before.edges) as u64;
    let (raised, taken) = events::totals();
    Outcome {
        events: raised - raised_before,
        taken: taken - taken_before,
        requests: (requests - stats_before.requests) as u64,
        edges,
        claimed: (claimed - stats_before.claimed) as u64,
        elsewhere: all_edges() - edges_before - edges,
        targets: u64::from(edges != 0),
    }
}

/// Every CPU raises single events, all kinds in turn, the next only after the last was taken. With `stray`, an NMI past the device joins them.
pub(super) fn lone_events(run: &Run, target: usize, stray: bool) -> Outcome {
    let rounds = run.cycles(LONE_EVENTS).div_ceil((run.cpus * run.cpus) as u64);
    account(run, target, || {
        for raiser in 0..run.cpus {
            smp::on_all_cpus(&|cpu| {
                if cpu == raiser {
                    repeat(rounds, |round| {
                        let event = (raiser as u64 * rounds + round) as usize % EVENTS;
                        events::raise(event);
                        wait_until(|| events::is_taken(event))
                    });
                }
            });
        }
        if stray {
            let _ = apic::send_nmi(target);
        }
    })
}

/// The target raises several events inside an NMI by request: while its NMIs are blocked, the device rings several times.
pub(super) fn merged_rings(run: &Run, target: usize) -> Outcome {
    on_target(run, target, |_| {
        events::raise_in_next_request(target, (1 << MERGED_EVENTS) - 1);
        if let Err(error) = NMI.send(target, Request::Call) {
            panic!("CPU {target} could not ring itself: {error}");
        }
        wait_until(|| (0..MERGED_EVENTS).all(events::is_taken))
    })
}

/// The target raises a second event inside the NMI of the first, before the device's handler is asked: that one takes both, and
/// the second ring finds nothing.
pub(super) fn orphaned_rings(run: &Run, target: usize) -> Outcome {
    let before = edges_of(target);
    on_target(run, target, |round| {
        events::raise_in_next_event(target, 1 << 1);
        events::raise(0);
        let edges = before + 2 * (round + 1);
        wait_until(|| events::is_taken(0) && events::is_taken(1) && edges_of(target) == edges)
    })
}

/// Does `round` on the target, as often as is due.
fn on_target(run: &Run, target: usize, round: impl Fn(u64) -> bool + Sync) -> Outcome {
    account(run, target, || {
        smp::on_all_cpus(&|cpu| {
            if cpu == target {
                repeat(NESTED_ROUNDS, &round);
            }
        });
    })
}

/// All CPUs raise events of their own at once, and each again as soon as it was taken.
pub(super) fn storm(run: &Run, target: usize) -> Outcome {
    let share = (run.cpus * run.cpus * OWN_EVENTS) as u64;
    let rounds = run.cycles(STORM_EVENTS).div_ceil(share);
    time::shuffle_turns(time::SOME_PERIOD);
    let outcome = account(run, target, || {
        smp::on_all_cpus(&|cpu| {
            let own = cpu * OWN_EVENTS..(cpu + 1) * OWN_EVENTS;
            repeat(rounds, |_| {
                own.clone().for_each(events::raise);
                wait_until(|| own.clone().all(events::is_taken))
            });
        });
    });
    time::shuffle_turns(0);
    outcome
}

/// Does `round` so many times, or until an event does not come in time.
fn repeat(rounds: u64, round: impl Fn(u64) -> bool) {
    for number in 0..rounds {
        if stalled() || !round(number) {
            return;
        }
    }
}
