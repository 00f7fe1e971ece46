// SPDX-License-Identifier: MIT OR Apache-2.0
//! A storm of NMIs on all CPUs, in gusts, each of which CPU 0 starts between two of its actions.
//!
//! Every CPU but CPU 0 rings one CPU of the others, and CPU 1 rings CPU 0 as well. A CPU that is
//! alone rings itself, also between the library's own steps ([`crate::nmi::steps`]).

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Run, rings};
use crate::cpu::{MAX_CPUS, area};
use crate::nmi::NMI;
use crate::waiting::awaited;
use crate::{apic, idle, patience};

/// How long CPU 0 waits for an NMI somewhere.
const STORM_TURNS: u32 = 2_000;

/// How long CPU 0 pauses between the library's steps, for other CPUs to ring it there.
const STEP_TURNS: u32 = 4;

/// Which NMIs come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storm {
    /// There is none.
    No,
    /// CPU 0 is alone and rings itself.
    Own,
    /// Other CPUs ring, CPU 0 among others.
    Others,
}

impl Storm {
    /// The storm of this machine, unless fault `no-storm` calms it.
    pub(super) fn of(run: &Run) -> Self {
        match run.cpus {
            _ if run.has_fault("no-storm") => Self::No,
            1 => Self::Own,
            _ => Self::Others,
        }
    }

    /// Starts a gust and waits until at least one NMI has come, if there is a storm. CPU 0.
    pub(super) fn let_nmis_come(self, cpus: usize) {
        match self {
            Self::No => {}
            Self::Own => ring_itself(),
            Self::Others => {
                let answered = || (0..cpus).map(rings::answered).sum::<u64>();
                let before = answered();
                blow();
                let is_answered = || answered() != before;
                patience::spin_until(awaited!("an NMI of the storm"), is_answered, STORM_TURNS);
            }
        }
    }

    /// Starts a gust, and does not wait for its NMIs. CPU 0.
    pub(super) fn stir(self) {
        match self {
            Self::No => {}
            Self::Own => ring_itself(),
            Self::Others => blow(),
        }
    }
}

/// Lets NMIs come between two steps of the library, on CPU 0: it rings itself if it is alone;
/// otherwise it pauses. Any context.
pub(crate) fn between_steps() {
    if area::current_cpu() != Some(0) {
        return;
    }
    if NMI.cpu_stats(1).is_none() {
        ring_itself();
    } else {
        pause(STEP_TURNS);
    }
}

/// Rings the only CPU, if it has answered its last ring. Any context.
fn ring_itself() {
    /// Whether this function is in progress already: its own send has steps, too.
    static RINGING: AtomicBool = AtomicBool::new(false);

    if RINGING.swap(true, Ordering::Relaxed) {
        return;
    }
    if rings::answered(0) == rings::sent() {
        rings::ring(0, 0);
    }
    RINGING.store(false, Ordering::Relaxed);
}

/// The CPU that rings `target`, where there are several CPUs: CPU 0 rings none.
const fn sender_towards(target: usize, cpus: usize) -> usize {
    if target == 0 { 1 } else { 1 + target % (cpus - 1) }
}

/// Gusts so far. Writer: CPU 0, which then wakes the others.
static GUSTS: AtomicU64 = AtomicU64::new(0);

/// Rings the sender's targets once in every gust, until CPU 0 is done. It sleeps in between: a CPU
/// that the host does not run while it is in an NMI holds up a removal, and where CPUs share few
/// cores, CPUs that wait busily would keep it from running.
pub(super) fn keep_ringing(sender: usize, cpus: usize, over: &AtomicBool) {
    let mut sent = [0; MAX_CPUS];
    let mut gust = 0;
    while !over.load(Ordering::Acquire) {
        let is_due = || GUSTS.load(Ordering::Acquire) != gust || over.load(Ordering::Acquire);
        idle::until(awaited!("the storm's next gust").without_limit(), is_due);
        gust = GUSTS.load(Ordering::Acquire);
        for target in (0..cpus).filter(|target| sender_towards(*target, cpus) == sender) {
            rings::ring(sender, target);
            sent[target] += 1;
        }
    }
    for target in (0..cpus).filter(|target| sent[*target] != 0) {
        rings::wait_answered(target, sent[target]);
    }
}

/// Starts the next gust. CPU 0.
fn blow() {
    GUSTS.fetch_add(1, Ordering::Release);
    apic::send_wake_to_others();
}

/// Ends the storm. CPU 0.
pub(super) fn calm(over: &AtomicBool) {
    over.store(true, Ordering::Release);
    apic::send_wake_to_others();
}

/// Busily does nothing.
pub(super) fn pause(turns: u32) {
    for _ in 0..turns {
        core::hint::spin_loop();
    }
}
