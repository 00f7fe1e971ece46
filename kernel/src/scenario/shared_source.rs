// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several handlers behind one doorbell, and every CPU rings every other.
//!
//! Each CPU has a status bit for each of four sources. A sender raises one, two, three or all of
//! them and rings once, so one edge stands for up to four conditions, and every handler must be
//! asked on it. To raise a bit that is still up loses a condition, as in a device's status
//! register. So a sender waits until the handlers have taken its conditions before it raises
//! others.
//!
//! A sender does not wait between its rings. One NMI may take several requests, and the rings of
//! some come later, as *orphans*: the library absorbs them, and no more edges than there were
//! rings. Where that happens is chance. So each CPU also makes a known number of orphans by torn
//! sends to itself: an NMI comes between request and ring, and takes both its own request and
//! theirs.

use core::sync::atomic::{AtomicBool, Ordering};

use latchwork::{Claim, Class, CpuStats, Limits, NmiContext, NmiHandler, Registration};

use super::rings::{self, Answerer, LAST};
use super::{Progress, Run, Tally, check, check_nothing_unknown, check_requests_taken};
use crate::apic;
use crate::cpu::MAX_CPUS;
use crate::nmi::{self, NMI, steps};
use crate::waiting::awaited;
use crate::{patience, smp, time};

const SOURCES: usize = 4;

/// Rounds: in each, senders raise conditions on every CPU, and ring it several times.
const ROUNDS: u64 = 5_000;

/// Rings in a round.
const VOLLEY: u64 = 3;

/// Sends of each CPU to itself in which an NMI comes between request and ring.
const TORN_SENDS: u64 = 100;

/// How long the fault `stuck-sender` keeps its ring back: longer than anything is held or lasts by
/// [`Limits::BARE_METAL`].
const STUCK_US: u64 = 30_000;

/// How many torn sends of each CPU the fault `stuck-sender` makes so long: each is red by itself.
const STUCK_SENDS: u64 = 3;

/// How long a torn send waits for the NMI in its midst.
const TORN_TURNS: u32 = 1_000_000;

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

/// Stay between request and ring for too long: the fault `stuck-sender`.
static STUCK: AtomicBool = AtomicBool::new(false);

static LOSE_CLAIMS: AtomicBool = AtomicBool::new(false);
static FIRST_CLAIM_WINS: AtomicBool = AtomicBool::new(false);

/// Whether a handler has claimed the NMI in progress, by CPU: the memory of the fault
/// `first-claim-wins`.
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

/// The sources that a round raises: every subset but the empty one comes up.
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

/// Lets an NMI come to this CPU, which has posted a request to itself and not rung yet. Interrupts
/// off.
fn between_request_and_ring(cpu: usize) {
    let answered = rings::answered(cpu);
    rings::ring(cpu, cpu);
    let are_answered = || rings::answered(cpu) >= answered + 2;
    patience::spin_until(awaited!("two rings to be answered"), are_answered, TORN_TURNS);
    if STUCK.load(Ordering::Relaxed) {
        time::delay_us(STUCK_US);
    }
}

/// Rounds of conditions and rings from every CPU to every other.
fn ring_all(run: &Run, rounds: u64) {
    let progress = Progress::new(rounds);
    smp::on_all_cpus(&|cpu| {
        for round in 0..rounds {
            let target = rings::target_of(cpu, round, run.cpus);
            if !rings::wait_answered(target, round * VOLLEY) {
                return;
            }
            raise(target, pattern(cpu, round));
            for _ in 0..VOLLEY {
                rings::ring(cpu, target);
            }
            PAIRS[cpu][target].add(1);
            if cpu == 0 {
                progress.at(round + 1);
            }
        }
    });
    for cpu in 0..run.cpus {
        rings::wait_answered(cpu, rounds * VOLLEY);
    }
    run.settle();
}

/// Makes each CPU's orphans. Returns what the library counted meanwhile.
fn make_orphans(run: &Run) -> CpuStats {
    let before = run.stats();
    steps::tear_sends_by(between_request_and_ring);
    smp::on_all_cpus(&|cpu| {
        for _ in 0..torn_sends() {
            steps::tear_next_send(cpu, cpu);
            rings::ring(cpu, cpu);
            apic::flush_pending();
        }
    });
    run.settle();
    let mut stats = run.stats();
    stats.edges -= before.edges;
    stats.claimed -= before.claimed;
    stats.absorbed -= before.absorbed;
    stats
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
    ring_all(run, rounds);
    time::shuffle_turns(0);
    report_edges(run, rounds);
    if run.has_fault("stuck-sender") {
        STUCK.store(true, Ordering::Relaxed);
        nmi::set_limits(Limits::BARE_METAL);
    }
    let orphans = make_orphans(run);
    if run.has_fault("stray-ring") {
        run.let_grants_end();
        let _ = apic::send_nmi(0);
        run.settle();
    }
    report_orphans(run, &orphans);
    report(run, &sources);
    for source in sources {
        nmi::remove(source);
    }
    nmi::remove(answerer);
}

fn report_edges(run: &Run, rounds: u64) {
    let (sent, stats) = (rings::sent(), run.stats());
    check(
        "every-ring-answered",
        !rings::stalled(),
        format_args!("{VOLLEY} rings of each CPU in each of {rounds} rounds answered in time"),
        format_args!(
            "{}",
            if rings::stalled() { "a ring without an answer" } else { "all answered in time" }
        ),
    );
    check(
        "edges-explained",
        stats.claimed + stats.absorbed == stats.edges && stats.edges as u64 <= sent && sent != 0,
        format_args!("no more edges than the {sent} rings, each claimed or absorbed"),
        format_args!(
            "{} edges, {} claimed, {} absorbed",
            stats.edges, stats.claimed, stats.absorbed
        ),
    );
    let edges =
        || (0..run.cpus).filter_map(|cpu| NMI.cpu_stats(cpu)).map(|stats| stats.edges as u64);
    let fewest = edges().min().unwrap_or(0);
    check(
        "edges-on-each-cpu",
        fewest >= rounds,
        format_args!("{rounds} edges or more on each of {} CPUs", run.cpus),
        format_args!("{fewest} on the CPU with the fewest"),
    );
}

fn torn_sends() -> u64 {
    if STUCK.load(Ordering::Relaxed) { STUCK_SENDS } else { TORN_SENDS }
}

fn report_orphans(run: &Run, orphans: &CpuStats) {
    let torn = torn_sends() as usize * run.cpus;
    check(
        "ring-of-a-taken-request-is-absorbed",
        orphans.edges == 2 * torn && orphans.claimed == torn && orphans.absorbed == torn,
        format_args!(
            "two edges for each of {torn} torn sends: one claimed with both requests, one \
             absorbed"
        ),
        format_args!(
            "{} edges, {} claimed, {} absorbed",
            orphans.edges, orphans.claimed, orphans.absorbed
        ),
    );
}

fn report(run: &Run, sources: &[Registration; SOURCES]) {
    let (sent, stats) = (rings::sent(), run.stats());
    check_requests_taken(sent, &stats);
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
}
