// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plays [sequences of rings](latchwork_sequence), and logs to the host what happened in each:
//! `cargo xtask compare` plays the same ones in the simulated machine, and compares.
//!
//! The scenario itself shows that the library loses and invents nothing in them: it claims each
//! condition that was set once, takes each request, and there are no more NMIs than rings.

mod report;
mod subject;

use core::sync::atomic::{AtomicU32, Ordering};

use latchwork::Limits;
use latchwork_sequence::{MAX_CPUS, Player, time};

use self::report::Sums;
use self::subject::Machine;
use super::{Progress, Run};
use crate::waiting::{Waiting, awaited};
use crate::{cpu, nmi, record, smp, tick};

pub(crate) use self::subject::around_dispatch;

/// How many sequences, unless the command line says: fewer where their waits cost the host as much
/// time.
const SEQUENCES: u64 = 25;
const SEQUENCES_BY_INSTRUCTIONS: u64 = 100;

/// By how much all waits and limits are longer than sequences say, where instructions take long.
/// Written before the first sequence.
static TIME_SCALE: AtomicU32 = AtomicU32::new(1);

/// So many microseconds of a sequence, in those of this machine.
fn scaled_us(us: u32) -> u32 {
    us.saturating_mul(TIME_SCALE.load(Ordering::Relaxed))
}

fn limits() -> Limits {
    Limits {
        late_us: scaled_us(time::LATE_US),
        cap_us: scaled_us(time::CAP_US),
        tick_period_us: scaled_us(time::LATE_US),
        overdue_us: scaled_us(time::CAP_US),
        hold_us: scaled_us(time::CAP_US),
        ..Limits::BARE_METAL
    }
}

/// The player. Handlers reach it in NMIs.
static PLAYER: Player = Player::new();

pub(super) fn run(run: &Run) {
    let cpus = run.cpus.min(MAX_CPUS);
    let by_instructions = crate::time::is_instruction_clock();
    let usual = if by_instructions { SEQUENCES_BY_INSTRUCTIONS } else { SEQUENCES };
    let sequences = run.number("sequences").unwrap_or(usual);
    let seeds = run.number("first-seed").unwrap_or(0)..;
    subject::make_faults(run);
    let time_scale = run.number("time-scale").unwrap_or(1);
    TIME_SCALE.store(u32::try_from(time_scale).unwrap_or(1), Ordering::Relaxed);
    nmi::set_limits(limits());
    tick::pass_to_library(false);
    let registrations = subject::register(cpus);
    subject::listen(true);

    let mut sums = Sums::default();
    let progress = Progress::new(sequences);
    let to_play = if run.has_fault("no-sequences") { 0 } else { sequences };
    for (number, seed) in (1..=to_play).zip(seeds) {
        PLAYER.begin(seed, cpus);
        smp::on_all_cpus(&|cpu| {
            if cpu < cpus {
                let enabled = cpu::interrupts_off();
                let _waiting = Waiting::begin(awaited!("the end of sequence {}", seed));
                PLAYER.play(&Machine(Some(&registrations)), cpu);
                cpu::interrupts_restore(enabled);
            }
        });
        let played = PLAYER.played();
        record::played(seed, &played, &PLAYER.log());
        sums.add(&played);
        progress.at(number);
    }

    subject::listen(false);
    tick::pass_to_library(true);
    run.settle();
    report::report(run, sequences, &sums);
    registrations.into_iter().for_each(nmi::remove);
    nmi::set_limits(nmi::limits());
}
