// SPDX-License-Identifier: MIT OR Apache-2.0
//! A sender freezes between its request and its ring, as a virtual CPU does when its host does not
//! run it.
//!
//! Another edge of the receiver, that of its counters ([`super::pmu`]), takes the request as well
//! as its own condition. Of two rings, one is still to come, and the library grants it. How long
//! that grant lasts depends on the sender:
//!
//! - frozen for a while: the library holds the grant, however many ticks pass, and absorbs the
//!   ring;
//! - frozen for longer than [`Limits::hold_us`]: the grant ends. Then the library reports an NMI
//!   that nothing explains. It reports the ring, too, as a late send, or else absorbs it. The panic
//!   policy never stops for it;
//! - frozen, and an NMI that nothing explains comes before the ring: there is one grant, so the
//!   library absorbs one of the two and reports the other.
//!
//! Meanwhile NMIs that nothing explains come to all other CPUs, the frozen one included, and the
//! library reports them there.

mod report;

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use latchwork::{CpuStats, Limits, Request};

use self::report::{Kind, Seen, SeenByKind};
use super::{Progress, Run, Tally, pmu, unknown};
use crate::nmi::{self, NMI, reports, steps};
use crate::waiting::{Waiting, awaited};
use crate::{apic, idle, patience, smp, tick, time};

/// Rounds in which the sender freezes for a while, for each receiver.
const SHORT_ROUNDS: usize = 4;

/// How long it freezes then, in ticks of the receiver: longer than any grant lives without a hold.
const SHORT_TICKS: u64 = 4;

/// How long it freezes otherwise: longer than any hold or grant lasts by [`Limits::BARE_METAL`].
const LONG_MS: u64 = 2 * Limits::BARE_METAL.hold_us as u64 / 1_000;

/// The sender has posted its request, and has not rung. Writer: the sender.
static FROZEN: AtomicBool = AtomicBool::new(false);

/// It may go on. Writer: the receiver.
static THAWED: AtomicBool = AtomicBool::new(false);

/// What the receiver noted in rounds in which the sender was frozen for long, before it could go
/// on.
static LONGEST_HELD_TICKS: AtomicU64 = AtomicU64::new(0);
static UNKNOWN_WHILE_FROZEN: Tally = Tally::new();

/// Its send has returned. Writers: the sender, and the conductor between rounds.
static HAS_RUNG: AtomicBool = AtomicBool::new(false);

/// Called between request and ring, with interrupts off: executes nothing but NMIs until it may go
/// on.
fn freeze(_: usize) {
    FROZEN.store(true, Ordering::Release);
    let _waiting = Waiting::begin(awaited!("its thaw: it is frozen between request and ring"));
    while !THAWED.load(Ordering::Acquire) {
        x86_64::instructions::hlt();
    }
    FROZEN.store(false, Ordering::Release);
}

/// Ends the freeze of `sender`, with as many NMIs as it takes: one may come right before it halts.
fn thaw(sender: usize) {
    const TURNS_A_RING: u32 = 2_000;
    THAWED.store(true, Ordering::Release);
    let is_thawed = || !FROZEN.load(Ordering::Acquire);
    let waiting = Waiting::begin(awaited!("CPU {} to thaw", sender));
    while !patience::spin_until(awaited!("CPU {} to take an NMI", sender), is_thawed, TURNS_A_RING)
    {
        pmu::overflow(sender);
        waiting.check();
    }
}

/// One round's parts.
struct Round<'a> {
    run: &'a Run,
    kind: Kind,
    sender: usize,
    receiver: usize,
}

impl Round<'_> {
    /// Runs the round. Returns what the receiver and all others saw.
    fn run(&self) -> Seen {
        nmi::set_limits(match self.kind {
            Kind::Long if self.run.has_fault("holds-for-ever") => {
                Limits { hold_us: u32::MAX, cap_us: u32::MAX, ..Limits::BARE_METAL }
            }
            Kind::Long => Limits::BARE_METAL,
            Kind::Short | Kind::Early => nmi::limits(),
        });
        self.run.let_grants_end();
        THAWED.store(false, Ordering::Relaxed);
        HAS_RUNG.store(false, Ordering::Relaxed);
        let before = self.seen_so_far();
        smp::on_all_cpus(&|cpu| {
            if cpu == self.sender {
                self.send();
            } else if cpu == self.receiver {
                self.receive();
            }
        });
        self.run.settle();
        let seen = self.seen_so_far();
        seen.since(before)
    }

    fn seen_so_far(&self) -> Seen {
        let stats = NMI.cpu_stats(self.receiver).unwrap_or_default();
        let unknown_in_all = self.run.stats().unknown;
        let late_sends = reports::tally(self.receiver).late_sends.load(Ordering::Relaxed);
        Seen::new(&stats, unknown_in_all - stats.unknown, late_sends)
    }

    fn send(&self) {
        if !self.run.has_fault("not-frozen") {
            steps::tear_next_send(self.sender, self.receiver);
        }
        if let Err(error) = NMI.send(self.receiver, Request::Call) {
            panic!("CPU {} could not ring CPU {}: {error}", self.sender, self.receiver);
        }
        HAS_RUNG.store(true, Ordering::Release);
        apic::send_wake(self.receiver);
    }

    fn receive(&self) {
        let is_frozen = || FROZEN.load(Ordering::Acquire);
        let has_rung = || HAS_RUNG.load(Ordering::Acquire);
        let sender = awaited!("CPU {} to freeze or to ring", self.sender);
        patience::sleep_until(sender, || is_frozen() || has_rung());
        if is_frozen() {
            pmu::overflow(self.receiver);
            apic::flush_pending();
            self.pass_time();
            thaw(self.sender);
        }
        patience::sleep_until(awaited!("CPU {} to ring", self.sender), has_rung);
        apic::flush_pending();
        if self.run.has_fault("stray-ring") && !self.run.panics_on_unknown() {
            ring_past_the_library(self.receiver);
        }
        if self.kind != Kind::Short {
            unknown::wait_until_reported();
        }
    }

    /// What the receiver does while the sender is frozen.
    fn pass_time(&self) {
        match self.kind {
            Kind::Short => tick::sleep_for(SHORT_TICKS),
            Kind::Early => {
                tick::sleep_for(SHORT_TICKS);
                ring_past_the_library(self.receiver);
            }
            Kind::Long => {
                let before = own_stats(self.receiver);
                idle::for_ms(LONG_MS);
                if !self.run.panics_on_unknown() {
                    self.ring_all();
                }
                let after = own_stats(self.receiver);
                let held_ticks = after.absorbable_ticks - before.absorbable_ticks;
                LONGEST_HELD_TICKS.fetch_max(held_ticks as u64, Ordering::Relaxed);
                UNKNOWN_WHILE_FROZEN.add((after.unknown - before.unknown) as u64);
            }
        }
    }

    /// An NMI that nothing explains comes to every CPU.
    fn ring_all(&self) {
        for cpu in 0..self.run.cpus {
            ring_past_the_library(cpu);
        }
        apic::flush_pending();
        unknown::wait_until_reported();
    }
}

fn own_stats(cpu: usize) -> CpuStats {
    NMI.cpu_stats(cpu).unwrap_or_default()
}

fn ring_past_the_library(cpu: usize) {
    if let Err(error) = apic::send_nmi(cpu) {
        panic!("CPU {cpu} could not be rung: {error}");
    }
}

/// The longest time for which a receiver could have absorbed an NMI while its sender was frozen for
/// long.
fn longest_held_us() -> u64 {
    LONGEST_HELD_TICKS.load(Ordering::Relaxed) * 1_000 / time::ticks_per_ms()
}

pub(super) fn run(run: &Run) {
    steps::tear_sends_by(freeze);
    let counters = pmu::register();
    let hidden = unknown::hide_all_if(run.has_fault("hidden-claim"));
    let mut seen = SeenByKind::default();
    let progress = Progress::new(run.cpus as u64);
    'all: for receiver in 0..run.cpus {
        for kind in kinds(run) {
            let sender = (receiver + 1) % run.cpus;
            let round = Round { run, kind, sender, receiver };
            let came = round.run();
            seen.add(kind, came);
            if came.claimed == 0 {
                break 'all;
            }
        }
        progress.at(receiver as u64 + 1);
    }
    nmi::set_limits(nmi::limits());
    report::report(run, &seen);
    hidden.into_iter().for_each(nmi::remove);
    nmi::remove(counters);
}

/// The rounds of one receiver. Where an NMI that nothing explains ends the kernel, only late sends
/// may come.
fn kinds(run: &Run) -> impl Iterator<Item = Kind> {
    let early = (!run.panics_on_unknown()).then_some(Kind::Early);
    [Kind::Short; SHORT_ROUNDS].into_iter().chain(early).chain([Kind::Long])
}
