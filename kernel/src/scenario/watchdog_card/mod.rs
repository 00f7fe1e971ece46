// SPDX-License-Identifier: MIT OR Apache-2.0
//! A watchdog card that rings the machine's NMI line when it expires: QEMU's i6300ESB with
//! `-watchdog-action inject-nmi`.
//!
//! The card does not ring while the scenario pings it in time. Left alone, it rings once, after the
//! programmed time, and every CPU whose LINT pin is open takes one NMI: first one CPU after the
//! other is open alone, then all of them are. A stopped card does not ring.
//!
//! The NMI comes with the end of the second stage, at which QEMU sets the timeout bit. That bit is
//! the condition, and stays until the handler clears it. [`mod@line`] says how the library explains
//! the edges on the other CPUs.

mod expiries;
mod line;
mod report;

use core::sync::atomic::Ordering;

use latchwork::HandlerId;

use self::expiries::Expiries;
use self::line::{CARD, KEEP_EXPIRED};
use super::{Progress, Run};
use crate::cpu::MAX_CPUS;
use crate::device::watchdog_card::Startable;
use crate::nmi::{self, NMI};
use crate::{idle, nmi_lines, smp, time};

/// Expiries in each phase, at least.
const EXPIRIES: u64 = 12;

/// The pinged card's timeout, the time between two pings, and for how long the scenario pings. The
/// timeout is long, so that no ping comes late on a busy host.
const PINGED_TIMEOUT_MS: u64 = 600;
const PING_EVERY_MS: u64 = 20;
const PINGED_MS: u64 = 2 * PINGED_TIMEOUT_MS;

/// The timeout of the card that is stopped, and how long the scenario watches it. Long, so that the
/// stop comes in time.
const STOPPED_TIMEOUT_MS: u64 = 200;
const STOPPED_MS: u64 = 3 * STOPPED_TIMEOUT_MS;

/// NMIs during a time in which none is due.
#[derive(Clone, Copy, Debug)]
struct Quiet {
    nmis: u64,
    pings: u64,
    longest_gap_ms: u64,
}

pub(super) fn run(run: &Run) {
    KEEP_EXPIRED.store(run.has_fault("no-clear"), Ordering::Relaxed);
    let mut card = match Startable::find() {
        Ok(card) => card,
        Err(error) => {
            panic!("this scenario needs an i6300ESB card (-device i6300esb): {error}")
        }
    };
    CARD.set(card.card);
    card.card.clear_expired();
    time::calibrate_again();
    let handlers = line::register();
    let expiries = run.cycles(EXPIRIES);
    let each = expiries.div_ceil(run.cpus as u64);
    let progress = Progress::new(run.cpus as u64 + 3);

    let card_id = handlers[1].id();
    open(run, card_id, |_| true);
    let pinged = ping(run, &mut card);
    progress.at(1);

    let pinging = run.has_fault("always-ping");
    let mut alone = Expiries::default();
    for only in 0..run.cpus {
        open(run, card_id, |cpu| cpu == only);
        for _ in 0..each {
            alone.expire(run, &mut card, pinging);
        }
        progress.at(only as u64 + 2);
    }
    open(run, card_id, |_| true);
    let mut all = Expiries { gave_up: alone.gave_up, ..Expiries::default() };
    for _ in 0..expiries {
        all.expire(run, &mut card, pinging);
    }
    progress.at(run.cpus as u64 + 2);

    let stopped = leave_stopped(run, &mut card);
    progress.at(run.cpus as u64 + 3);
    open(run, card_id, |_| false);

    report::report(run, &pinged, &alone, &all, &stopped);
    for handler in handlers {
        nmi::remove(handler);
    }
}

fn start(card: &mut Startable, timeout_ms: u64) {
    match card.start(timeout_ms).and_then(|()| card.runs()) {
        Ok(true) => {}
        Ok(false) => panic!("the watchdog card does not start"),
        Err(error) => panic!("the watchdog card cannot be started: {error}"),
    }
}

fn stop(card: &mut Startable) {
    if let Err(error) = card.stop() {
        panic!("the watchdog card cannot be stopped: {error}");
    }
}

/// Opens the NMI line on the CPUs that `wanted` names, and closes it on all others. The card is
/// stopped.
fn open(run: &Run, card: HandlerId, wanted: impl Fn(usize) -> bool + Sync) {
    let closed_lint = run.has_fault("closed-lint");
    let mut cpus = [0; MAX_CPUS];
    let mut open = 0;
    for cpu in (0..run.cpus).filter(|cpu| wanted(*cpu) && !run.has_fault("no-route")) {
        cpus[open] = cpu;
        open += 1;
    }
    nmi::set_delivery(card, &cpus[..open]);
    smp::on_all_cpus(&|cpu| {
        let opens = wanted(cpu) && !closed_lint;
        line::set_open(cpu, wanted(cpu));
        let programmed = if opens { nmi_lines::open_here() } else { nmi_lines::close_here() };
        if let Err(error) = programmed {
            panic!("CPU {cpu}: {error}");
        }
    });
    NMI.owe_poll();
    run.let_grants_end();
}

fn edges(run: &Run) -> u64 {
    run.stats().edges as u64
}

/// Pings the card for longer than it takes to expire.
fn ping(run: &Run, card: &mut Startable) -> Quiet {
    let late = run.has_fault("late-ping");
    let pause_ms = if late { 2 * PINGED_TIMEOUT_MS } else { PING_EVERY_MS };
    let before = edges(run);
    let mut quiet = Quiet { nmis: 0, pings: 0, longest_gap_ms: 0 };
    let start_ticks = time::now_ticks();
    let mut last_ticks = start_ticks;
    start(card, PINGED_TIMEOUT_MS);
    while last_ticks.saturating_sub(start_ticks) < PINGED_MS * time::ticks_per_ms() {
        idle::for_ms(pause_ms);
        card.card.ping();
        let now_ticks = time::now_ticks();
        let gap_ms = now_ticks.saturating_sub(last_ticks) / time::ticks_per_ms();
        quiet.longest_gap_ms = quiet.longest_gap_ms.max(gap_ms);
        quiet.pings += 1;
        last_ticks = now_ticks;
    }
    stop(card);
    run.settle();
    quiet.nmis = edges(run) - before;
    quiet
}

/// Starts the card, stops it before it expires, and waits for longer than it would have taken.
fn leave_stopped(run: &Run, card: &mut Startable) -> Quiet {
    let before = edges(run);
    start(card, STOPPED_TIMEOUT_MS);
    if !run.has_fault("not-stopped") {
        stop(card);
    }
    idle::for_ms(STOPPED_MS);
    stop(card);
    run.settle();
    Quiet { nmis: edges(run) - before, pings: 0, longest_gap_ms: STOPPED_MS }
}
