// SPDX-License-Identifier: MIT OR Apache-2.0
//! The phases, for one CPU after the other while the device rings it.
//!
//! Where numbers are to be exact, the scenario lets grants end between two rounds
//! ([`Run::let_grants_end`]). Otherwise the library could absorb a ring while a late one may still
//! come, and only the next poll would find its event.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use latchwork::{CpuStats, Recovery, Request};

use super::events::{self, EVENTS};
use super::outcome::Outcome;
use crate::cpu::MAX_CPUS;
use crate::nmi::NMI;
use crate::scenario::{Run, sleepers};
use crate::waiting::awaited;
use crate::{apic, idle, smp, tick, time};

/// Events of the phases in which several CPUs raise them, over all targets together.
pub(super) const LONE_EVENTS: u64 = 256;
pub(super) const STORM_EVENTS: u64 = 2_000;
/// Rounds on each target in the phases in which the target raises events inside its NMIs.
pub(super) const NESTED_ROUNDS: u64 = 16;
/// The same where no CPU ticks.
pub(super) const TICKLESS_ROUNDS: u64 = 4;
/// Events that are raised while the target's NMIs are blocked.
pub(super) const MERGED_EVENTS: usize = 8;
/// Events of each CPU in a storm.
const OWN_EVENTS: usize = EVENTS / MAX_CPUS;

/// How long no CPU polls where no CPU ticks: longer than [`latchwork::Limits::overdue_us`].
const TICKLESS_MS: u64 = 6;

/// An event did not come in time: the scenario goes no further.
static STALLED: AtomicBool = AtomicBool::new(false);

/// The longest time that an event whose ring had collapsed waited for a poll, in ticks. Writer: the
/// target.
static LONGEST_WAIT_TICKS: AtomicU64 = AtomicU64::new(0);

/// Whether an event did not come in time.
pub(super) fn stalled() -> bool {
    STALLED.load(Ordering::Relaxed)
}

/// The longest time that an event whose ring had collapsed waited for a poll.
pub(super) fn longest_wait_us() -> u64 {
    LONGEST_WAIT_TICKS.load(Ordering::Relaxed) * 1000 / time::ticks_per_ms()
}

/// Waits until `done`, or notes that it did not come in time.
fn wait_until(done: impl Fn() -> bool) -> bool {
    let events = awaited!("events of the device to be taken");
    let came = sleepers::wait_until(events, || done() || stalled()) && !stalled();
    if !came {
        STALLED.store(true, Ordering::Relaxed);
    }
    came
}

fn edges_of(cpu: usize) -> u64 {
    NMI.cpu_stats(cpu).map_or(0, |stats| stats.edges as u64)
}

/// Runs one phase towards `target`, lets all its NMIs arrive, and returns its results.
fn account(run: &Run, target: usize, phase: impl FnOnce()) -> Outcome {
    let stats_of = |cpu| NMI.cpu_stats(cpu).unwrap_or_default();
    let all_edges = || (0..run.cpus).map(edges_of).sum::<u64>();
    run.let_grants_end();
    let (stats_before, edges_before) = (stats_of(target), all_edges());
    let (raised_before, taken_before) = events::totals();
    let recovery_before = NMI.recovery_stats();
    phase();
    run.settle();
    let CpuStats { edges, claimed, absorbed, requests, .. } = stats_of(target);
    let edges = (edges - stats_before.edges) as u64;
    let (raised, taken) = events::totals();
    let recovery = NMI.recovery_stats();
    Outcome {
        events: raised - raised_before,
        taken: taken - taken_before,
        requests: (requests - stats_before.requests) as u64,
        edges,
        claimed: (claimed - stats_before.claimed) as u64,
        absorbed: (absorbed - stats_before.absorbed) as u64,
        elsewhere: all_edges() - edges_before - edges,
        targets: u64::from(edges != 0),
        recovered: (recovery.recovered - recovery_before.recovered) as u64,
        paid_by_tick: (recovery.paid_by_tick - recovery_before.paid_by_tick) as u64,
        paid_overdue: (recovery.paid_overdue - recovery_before.paid_overdue) as u64,
        probes: (recovery.probes - recovery_before.probes) as u64,
    }
}

/// Every CPU raises single events, all kinds in turn, each when nothing of the last is left. With
/// `stray`, an NMI past the device follows them.
pub(super) fn lone_events(run: &Run, target: usize, stray: bool) -> Outcome {
    let rounds = run.cycles(LONE_EVENTS).div_ceil((run.cpus * run.cpus) as u64);
    account(run, target, || {
        for number in 0..rounds * run.cpus as u64 {
            let raiser = (number / rounds) as usize;
            let event = number as usize % EVENTS;
            let taken = on(run, raiser, || {
                events::raise(event);
                wait_until(|| events::is_taken(event))
            });
            run.let_grants_end_on(target);
            if !taken {
                return;
            }
        }
        if stray {
            let _ = apic::send_nmi(target);
        }
    })
}

/// The target raises several events inside an NMI by request, so the device rings several times
/// while NMIs are blocked there.
pub(super) fn merged_rings(run: &Run, target: usize) -> Outcome {
    on_target(run, target, NESTED_ROUNDS, |_| {
        events::raise_in_next_request(target, (1 << MERGED_EVENTS) - 1);
        request(target);
        wait_until(|| (0..MERGED_EVENTS).all(events::is_taken))
    })
}

/// The target raises a second event inside the NMI of the first, before the library asks the
/// device's handler: the handler takes both, and the second ring finds nothing.
pub(super) fn orphaned_rings(run: &Run, target: usize) -> Outcome {
    let before = edges_of(target);
    on_target(run, target, NESTED_ROUNDS, |round| {
        events::raise_in_next_event(target, 1 << 1);
        events::raise(0);
        let edges = before + 2 * (round + 1);
        wait_until(|| events::is_taken(0) && events::is_taken(1) && edges_of(target) == edges)
    })
}

/// The device rings while the target's NMIs are blocked, and so does a request. One NMI follows,
/// which the request explains, so the library does not ask the device's handler. Some CPU's tick
/// finds the event, as `recovery` says.
pub(super) fn collapsed_rings(run: &Run, target: usize, recovery: Recovery) -> Outcome {
    NMI.set_recovery(recovery);
    let outcome = on_target(run, target, NESTED_ROUNDS, |_| {
        events::collapse_in_next_request(target, 2);
        let start_ticks = time::now_ticks();
        request(target);
        let taken = wait_until(|| events::is_taken(2));
        let took_ticks = time::now_ticks().saturating_sub(start_ticks);
        LONGEST_WAIT_TICKS.fetch_max(took_ticks, Ordering::Relaxed);
        taken
    });
    NMI.set_recovery(Recovery::Poll);
    outcome
}

/// The same where no CPU ticks, as far as the library knows: when the poll is overdue, an NMI of
/// any kind finds the event.
pub(super) fn without_ticks(run: &Run, target: usize) -> Outcome {
    account(run, target, || {
        tick::pass_to_library(false);
        for _ in 0..TICKLESS_ROUNDS {
            let taken = on(run, target, || {
                events::collapse_in_next_request(target, 3);
                request(target);
                idle::for_ms(TICKLESS_MS);
                request(target);
                wait_until(|| events::is_taken(3))
            });
            if !taken {
                break;
            }
        }
        tick::pass_to_library(!run.has_fault("no-tick"));
    })
}

fn request(target: usize) {
    if let Err(error) = NMI.send(target, Request::Call) {
        panic!("CPU {target} could not ring itself: {error}");
    }
}

/// Does `act` on `cpu`, unless an event did not come in time, and returns its result.
fn on(run: &Run, cpu: usize, act: impl Fn() -> bool + Sync) -> bool {
    let done = AtomicBool::new(false);
    if !stalled() && cpu < run.cpus {
        smp::on_all_cpus(&|this| {
            if this == cpu {
                done.store(act(), Ordering::Relaxed);
            }
        });
    }
    done.load(Ordering::Relaxed)
}

/// Does `round` on the target, so many times, each when nothing of the last is left.
fn on_target(run: &Run, target: usize, rounds: u64, round: impl Fn(u64) -> bool + Sync) -> Outcome {
    account(run, target, || {
        for number in 0..rounds {
            if !on(run, target, || round(number)) {
                return;
            }
            run.let_grants_end_on(target);
        }
    })
}

/// All CPUs raise events of their own at once, and each again as soon as the handler has taken it.
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
