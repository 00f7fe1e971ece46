// SPDX-License-Identifier: MIT OR Apache-2.0
//! The work items: two for each CPU, their *home*, one of each urgency; and an account of each.

use core::sync::atomic::{AtomicBool, Ordering};

use latchwork::{QueueError, Urgency, Work};

use crate::cpu::{MAX_CPUS, area};
use crate::nmi::NMI;
use crate::scenario::{Tally, pmu};

/// Items of each CPU.
const URGENCIES: [Urgency; 2] = [Urgency::Now, Urgency::Lazy];

const ITEMS: usize = MAX_CPUS * URGENCIES.len();

/// How often the fault `lost-run` strikes.
const LOST_RUN_EVERY: u64 = 500;

/// One run in this many makes NMIs come while it runs. If more did, the items that these queue
/// would keep the lists full for ever.
const NMIS_IN_RUN_OF: u64 = 8;

/// How many overflows such a burst has; each but the last queues an item.
const BURST_IN_RUN: u64 = 3;

/// The fault `lost-run`. Written before anything is queued.
pub(super) static LOSE_RUNS: AtomicBool = AtomicBool::new(false);

static WORK: [Work; ITEMS] = [
    Work::new(&run::<0>),
    Work::new(&run::<1>),
    Work::new(&run::<2>),
    Work::new(&run::<3>),
    Work::new(&run::<4>),
    Work::new(&run::<5>),
    Work::new(&run::<6>),
    Work::new(&run::<7>),
    Work::new(&run::<8>),
    Work::new(&run::<9>),
    Work::new(&run::<10>),
    Work::new(&run::<11>),
    Work::new(&run::<12>),
    Work::new(&run::<13>),
    Work::new(&run::<14>),
    Work::new(&run::<15>),
];

/// What happened to one item, or to all.
#[derive(Debug)]
pub(super) struct Account {
    /// Times that it was queued and had not been before.
    pub(super) queued: Tally,
    /// Of those, while it ran.
    pub(super) queued_in_run: Tally,
    /// Times that it was queued already.
    pub(super) merged: Tally,
    /// Times that it was refused, since its home was offline.
    pub(super) refused: Tally,
    /// Times that it was refused for another reason.
    pub(super) failed: Tally,
    pub(super) runs: Tally,
    /// Of those, elsewhere than at home.
    pub(super) runs_elsewhere: Tally,
    /// Of the lazy ones', those on a CPU whose tick was stopped.
    pub(super) runs_without_tick: Tally,
    /// Runs that began while another went on.
    pub(super) overlaps: Tally,
    is_running: AtomicBool,
}

static ACCOUNTS: [Account; ITEMS] = [const {
    Account {
        queued: Tally::new(),
        queued_in_run: Tally::new(),
        merged: Tally::new(),
        refused: Tally::new(),
        failed: Tally::new(),
        runs: Tally::new(),
        runs_elsewhere: Tally::new(),
        runs_without_tick: Tally::new(),
        overlaps: Tally::new(),
        is_running: AtomicBool::new(false),
    }
}; ITEMS];

const fn number_of(home: usize, urgency: Urgency) -> usize {
    home * URGENCIES.len() + urgency as usize
}

/// Queues the item of `home`. NMI-safe.
pub(super) fn queue(home: usize, urgency: Urgency) {
    let number = number_of(home, urgency);
    let (Some(work), Some(account)) = (WORK.get(number), ACCOUNTS.get(number)) else {
        return;
    };
    let runs = account.is_running.load(Ordering::Relaxed);
    match NMI.queue_on(home, work, urgency) {
        Ok(true) => {
            account.queued.add(1);
            account.queued_in_run.add(u64::from(runs));
        }
        Ok(false) => account.merged.add(1),
        Err(QueueError::Offline { .. }) => account.refused.add(1),
        Err(_) => account.failed.add(1),
    }
}

/// Runs item `NUMBER` on `cpu`: counts, and now and then makes NMIs come.
fn run<const NUMBER: usize>(cpu: usize) {
    let account = &ACCOUNTS[NUMBER];
    if account.is_running.swap(true, Ordering::Acquire) {
        account.overlaps.add(1);
    }
    let runs = account.runs.get();
    let is_lost = LOSE_RUNS.load(Ordering::Relaxed) && runs % LOST_RUN_EVERY == LOST_RUN_EVERY - 1;
    if is_lost {
        LOSE_RUNS.store(false, Ordering::Relaxed);
    } else {
        account.runs.add(1);
    }
    account.runs_elsewhere.add(u64::from(NUMBER / URGENCIES.len() != cpu));
    let tick_is_stopped =
        area::this().is_some_and(|area| area.tick_is_stopped.load(Ordering::Relaxed));
    let is_lazy = NUMBER % URGENCIES.len() == Urgency::Lazy as usize;
    account.runs_without_tick.add(u64::from(is_lazy && tick_is_stopped));
    if runs % NMIS_IN_RUN_OF == 0 && NMI.is_online(cpu) == Some(true) {
        pmu::burst(cpu, BURST_IN_RUN);
    }
    account.is_running.store(false, Ordering::Release);
}

/// Whether the item of `home` neither waits nor runs.
pub(super) fn is_idle(home: usize, urgency: Urgency) -> bool {
    WORK[number_of(home, urgency)].is_idle()
}

/// Whether no item of `home` waits or runs.
pub(super) fn are_idle(home: usize) -> bool {
    URGENCIES.into_iter().all(|urgency| is_idle(home, urgency))
}

/// The sum of a part of all accounts.
pub(super) fn sum(part: fn(&Account) -> &Tally) -> u64 {
    ACCOUNTS.iter().map(|account| part(account).get()).sum()
}

/// Items of the first `cpus` CPUs that did not run once for each time that they were queued, and
/// those that were never queued.
pub(super) fn miscounted_and_unused(cpus: usize) -> (usize, usize) {
    let used = || ACCOUNTS.iter().take(number_of(cpus, Urgency::Now));
    let differ = used().filter(|account| account.queued.get() != account.runs.get()).count();
    (differ, used().filter(|account| account.queued.get() == 0).count())
}
