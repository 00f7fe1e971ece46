// SPDX-License-Identifier: MIT OR Apache-2.0
//! A handler rings its own CPU ten times: exactly one more NMI follows.
//!
//! NMIs are blocked while one is in service, and the CPU remembers one. So ten rings from inside a
//! handler give one NMI after it, which takes all ten requests. Every CPU tries, the boot CPU most
//! often. After each round the CPU takes a maskable interrupt that it sent itself, which comes
//! after every NMI that was pending. So the scenario would see a second NMI.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use latchwork::{Claim, Class, NmiContext, NmiHandler, Request};

use super::{Progress, Run, Tally, check, check_nothing_unknown, check_requests_taken};
use crate::apic;
use crate::cpu::MAX_CPUS;
use crate::nmi::{self, NMI};
use crate::smp;

/// Rounds on the boot CPU.
const ROUNDS: u64 = 100_000;
/// Rounds on each other CPU.
const ROUNDS_ELSEWHERE: u64 = 2_000;
/// Rings from inside the handler.
const RINGS: u64 = 10;

static RING_IN_HANDLER: AtomicBool = AtomicBool::new(true);

/// One CPU's round. That CPU's thread and its NMIs write it in turn.
#[repr(align(64))]
struct Round {
    /// The next NMI is the one that rings.
    armed: AtomicBool,
    /// NMIs after the one that rang.
    followers: AtomicU64,
    /// Requests that those took.
    taken: AtomicU64,
}

static ROUND_OF: [Round; MAX_CPUS] = [const {
    Round { armed: AtomicBool::new(false), followers: AtomicU64::new(0), taken: AtomicU64::new(0) }
}; MAX_CPUS];

/// Requests sent, by CPU.
static SENT: [Tally; MAX_CPUS] = [const { Tally::new() }; MAX_CPUS];

struct Ringer;
static RINGER: Ringer = Ringer;

fn send_to_self(cpu: usize) -> bool {
    let sent = NMI.send(cpu, Request::Call).is_ok();
    if let (true, Some(tally)) = (sent, SENT.get(cpu)) {
        tally.add(1);
    }
    sent
}

// SAFETY: touches atomics in statics, and sends, which is NMI-safe.
unsafe impl NmiHandler for Ringer {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        let Some(round) = ROUND_OF.get(ctx.cpu()) else {
            return Claim::None;
        };
        if !round.armed.swap(false, Ordering::Relaxed) {
            round.followers.fetch_add(1, Ordering::Relaxed);
            round.taken.fetch_add(ctx.requests().count(Request::Call) as u64, Ordering::Relaxed);
        } else if RING_IN_HANDLER.load(Ordering::Relaxed) {
            for _ in 0..RINGS {
                send_to_self(ctx.cpu());
            }
        }
        if ctx.requests().is_empty() { Claim::None } else { Claim::Handled }
    }
}

/// What the rounds of all CPUs came to.
struct Verdicts {
    rounds: Tally,
    /// Rounds after which not exactly one NMI followed.
    not_one_follower: Tally,
    /// Rounds after which not exactly ten requests had been taken by it.
    not_ten_taken: Tally,
    followers: Tally,
}

fn play(cpu: usize, eleventh: bool, verdicts: &Verdicts) {
    let round = &ROUND_OF[cpu];
    round.followers.store(0, Ordering::Relaxed);
    round.taken.store(0, Ordering::Relaxed);
    round.armed.store(true, Ordering::Relaxed);
    assert!(send_to_self(cpu), "CPU {cpu} could not ring itself");
    apic::flush_pending();
    if eleventh {
        send_to_self(cpu);
        apic::flush_pending();
    }
    let followers = round.followers.load(Ordering::Relaxed);
    verdicts.rounds.add(1);
    verdicts.followers.add(followers);
    verdicts.not_one_follower.add(u64::from(followers != 1));
    verdicts.not_ten_taken.add(u64::from(round.taken.load(Ordering::Relaxed) != RINGS));
}

pub(super) fn run(run: &Run) {
    RING_IN_HANDLER.store(!run.has_fault("no-rings"), Ordering::Relaxed);
    let eleventh = run.has_fault("eleventh-after");
    let rounds_here = run.cycles(ROUNDS);

    let ringer = nmi::register("ringer", Class::Local, 1, &RINGER);
    let verdicts = Verdicts {
        rounds: Tally::new(),
        not_one_follower: Tally::new(),
        not_ten_taken: Tally::new(),
        followers: Tally::new(),
    };
    let progress = Progress::new(rounds_here);
    smp::on_all_cpus(&|cpu| {
        let rounds = if cpu == 0 { rounds_here } else { ROUNDS_ELSEWHERE };
        for round in 1..=rounds {
            play(cpu, eleventh, &verdicts);
            if cpu == 0 {
                progress.at(round);
            }
        }
    });
    run.settle();

    let sent: u64 = SENT.iter().map(Tally::get).sum();
    let stats = run.stats();
    let rounds = verdicts.rounds.get();
    check(
        "exactly-one-more",
        verdicts.not_one_follower.get() == 0
            && verdicts.followers.get() == rounds
            && rounds >= ROUNDS,
        format_args!("one NMI after each of {ROUNDS} or more rounds"),
        format_args!(
            "{} NMIs after {rounds} rounds, {} rounds without exactly one",
            verdicts.followers.get(),
            verdicts.not_one_follower.get()
        ),
    );
    check(
        "takes-all-ten",
        verdicts.not_ten_taken.get() == 0 && rounds >= ROUNDS,
        format_args!("{RINGS} requests taken after the handler in every round"),
        format_args!("another number in {} of {rounds} rounds", verdicts.not_ten_taken.get()),
    );
    check(
        "edges",
        stats.edges as u64 == 2 * rounds && stats.claimed == stats.edges && rounds != 0,
        format_args!("{} edges, two a round, all claimed", 2 * rounds),
        format_args!("{} edges, {} claimed", stats.edges, stats.claimed),
    );
    check_requests_taken(sent, &stats);
    check_nothing_unknown(&stats);
    run.totals(sent.saturating_sub(stats.requests as u64));
    nmi::remove(ringer);
}
