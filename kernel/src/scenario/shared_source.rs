// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several handlers behind one doorbell, and every CPU rings every other.
//!
//! Each CPU has a status bit for each of four sources. A sender raises one, two, three or all of them and rings once, so one
//! edge stands for up to four conditions, and every handler must be asked on it. A bit that is raised while it is still up is
//! a condition lost, as in a device's status register.

use core::sync::atomic::{AtomicBool, Ordering};

use latchwork::{Claim, Class, NmiContext, NmiHandler};

use super::rings::{self, Answerer, LAST};
use super::{Progress, Run, Tally, check, check_nothing_unknown, check_requests_taken};
use crate::apic;
use crate::cpu::MAX_CPUS;
use crate::nmi::{self, NMI};
use crate::{smp, time};

const SOURCES: usize = 4;

/// Rings sent to each CPU.
const ROUNDS: u64 = 10_000;

/// How often the fault `lost-claim` strikes.
const LOST_CLAIM_EVERY: u64 = 1_000;

/// One source's condition on one CPU.
struct Condition {
    raised: AtomicBool,
    /// Counts raises. Written by the senders, one at a time.
    set: Tally,
}

static CONDITIONS: [[Condition; SOURCES]; MAX_CPUS] = [const {
    [const { Condition { raised: AtomicBool::new(false), set: Tally::new() } }; SOURCES]
}; MAX_CPUS];

/// How often each CPU rang each other.
static PAIRS: [[Tally; MAX_CPUS]; MAX_CPUS] =
    [const { [const { Tally::new() }; MAX_CPUS] }; MAX_CPUS];

static LOSE_CLAIMS: AtomicBool = AtomicBool::new(false);
static FIRST_CLAIM_WINS: AtomicBool = AtomicBool::new(false);

/// Whether a handler has claimed the NMI that is being handled, by CPU: the memory of the fault `first-claim-wins`.
static CLAIMED: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

struct Source(usize);

static HANDLERS: [Source; SOURCES] = [Source(0), Source(1), Source(2), Source(3)];
static ANSWERER: Answerer = Answerer;

// SAFETY: touches atomics in statics only.
unsafe impl NmiHandler for Source {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        let condition = CONDITIONS.get(ctx.cpu()).and_then(|sources| sources.get(self.0));
        let (Some(condition), Some(claimed)) = (condition, CLAIMED.get(ctx.cpu())) else {
            return Claim::None;
        };
        if FIRST_CLAIM_WINS.load(Ordering::Relaxed) {
            let first = self.0 == 0;
            if !first && claimed.load(Ordering::Relaxed) {
                return Claim::None;
            }
            claimed.store(condition.raised.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        if !condition.raised.swap(false, Ordering::Acquire) {
            return Claim::None;
        }
        if LOSE_CLAIMS.load(Ordering::Relaxed) && condition.set.get() % LOST_CLAIM_EVERY == 0 {
            return Claim::None;
        }
        Claim::Handled
    }
}

/// Which sources a round raises: every subset but the empty one comes up.
fn pattern(cpu: usize, round: u64) -> u64 {
    1 + (round + cpu as u64) % ((1 << SOURCES) - 1)
}

fn raise(target: usize, pattern: u64) {
    for (source, condition) in CONDITIONS[target].iter().enumerate() {
        if pattern >> source & 1 != 0 {
            condition.set.add(1);
            condition.raised.store(true, Ordering::Release);
        }
    }
}

pub(super) fn run(run: &Run) {
    LOSE_CLAIMS.store(run.has_fault("lost-claim"), Ordering::Relaxed);
    FIRST_CLAIM_WINS.store(run.has_fault("first-claim-wins"), Ordering::Relaxed);
    let rounds = run.cycles(ROUNDS);

    let sources = HANDLERS.each_ref().map(|handler| {
        const NAMES: [&str; SOURCES] = ["source-a", "source-b", "source-c", "source-d"];
        nmi::register(NAMES[handler.0], Class::Local, 10 + handler.0 as u8, handler)
    });
    let answerer = nmi::register("answerer", Class::Local, LAST, &ANSWERER);

    time::shuffle_turns(time::SOME_PERIOD);
    let progress = Progress::new(rounds);
    smp::on_all_cpus(&|cpu| {
        for round in 0..rounds {
            let target = rings::target_of(cpu, round, run.cpus);
            if !rings::wait_answered(target, round) {
                return;
            }
            raise(target, pattern(cpu, round));
            rings::ring(cpu, target);
            PAIRS[cpu][target].add(1);
            if cpu == 0 {
                progress.at(round + 1);
            }
        }
    });
    for cpu in 0..run.cpus {
        rings::wait_answered(cpu, rounds);
    }
    if run.has_fault("stray-ring") {
        let _ = apic::send_nmi(0);
    }
    run.settle();

    let sent = rings::sent();
    let stats = run.stats();
    check(
        "every-ring-answered",
        !rings::stalled(),
        format_args!("{rounds} rings of each CPU answered in time"),
        format_args!(
            "{}",
            if rings::stalled() { "a ring without an answer" } else { "all answered in time" }
        ),
    );
    check_requests_taken(sent, &stats);
    check(
        "edges-claimed",
        stats.edges as u64 == sent && stats.claimed as u64 == sent && sent != 0,
        format_args!("{sent} edges, all claimed"),
        format_args!("{} edges, {} claimed", stats.edges, stats.claimed),
    );
    let mut set_in_all = 0;
    let mut claimed_in_all = 0;
    for (index, source) in sources.iter().enumerate() {
        let set: u64 = CONDITIONS.iter().map(|sources| sources[index].set.get()).sum();
        let claims = (0..run.cpus).filter_map(|cpu| NMI.handler_stats(source.id(), cpu).ok());
        let claimed: u64 = claims.map(|stats| stats.claims as u64).sum();
        set_in_all += set;
        claimed_in_all += claimed;
        const CHECKS: [&str; SOURCES] = [
            "conditions-of-source-a",
            "conditions-of-source-b",
            "conditions-of-source-c",
            "conditions-of-source-d",
        ];
        check(
            CHECKS[index],
            set == claimed && set != 0,
            format_args!("{set} claims, as many as conditions were set"),
            format_args!("{claimed}"),
        );
    }
    let edges =
        || (0..run.cpus).filter_map(|cpu| NMI.cpu_stats(cpu)).map(|stats| stats.edges as u64);
    let fewest = edges().min().unwrap_or(0);
    check(
        "edges-on-each-cpu",
        fewest >= rounds,
        format_args!("{rounds} edges or more on each of {} CPUs", run.cpus),
        format_args!("{fewest} on the CPU with the fewest"),
    );
    check_nothing_unknown(&stats);
    let pairs = PAIRS.iter().flatten().filter(|rings| rings.get() != 0).count();
    let all_pairs = if run.cpus == 1 { 1 } else { run.cpus * (run.cpus - 1) };
    check(
        "every-cpu-rang-every-other",
        pairs == all_pairs,
        format_args!("{all_pairs} ordered pairs of CPUs"),
        format_args!("{pairs}"),
    );
    run.totals((sent + set_in_all).saturating_sub(stats.requests as u64 + claimed_in_all));
    for source in sources {
        nmi::remove(source);
    }
    nmi::remove(answerer);
}
