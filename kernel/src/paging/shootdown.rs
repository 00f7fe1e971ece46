// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLB shootdown: makes every CPU drop its entries for unmapped pages.
//!
//! A CPU may cache where a page was mapped for as long as it likes. So after it has unmapped pages,
//! the boot CPU interrupts each CPU, which drops what it has cached (SDM Vol. 3A, "Propagation of
//! Paging-Structure Changes to Multiple Processors"). Then each tries to read the pages, and
//! answers whether it could.
//!
//! The interrupt is maskable, so a CPU that is in an NMI answers after the NMI. A test that must
//! catch an NMI which uses a page too late cannot rely on this: the NMI itself must forget the page
//! before each use ([`super::forget`]).

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{PAGE_BYTES, forget, probe};
use crate::waiting::awaited;
use crate::{apic, idle, patience};

/// How long to wait busily for the others.
const SPIN_TURNS: u32 = 200;

/// The pages that the others are to drop. The boot CPU writes it before it sends; the interrupt
/// orders it.
static START: AtomicUsize = AtomicUsize::new(0);
static PAGES: AtomicUsize = AtomicUsize::new(0);

/// CPUs that have not answered. Set by the boot CPU; the others subtract, Release, and the boot CPU
/// waits for 0, Acquire.
static UNANSWERED: AtomicUsize = AtomicUsize::new(0);

/// Reads that did not fault. Any CPU adds before it answers.
static READABLE: AtomicUsize = AtomicUsize::new(0);

/// Do not drop anything: a fault of scenario `module-unload`.
static KEEP_TRANSLATIONS: AtomicBool = AtomicBool::new(false);

/// From now on CPUs answer without dropping anything.
pub(crate) fn keep_translations() {
    KEEP_TRANSLATIONS.store(true, Ordering::Relaxed);
}

/// Makes all `cpus` CPUs forget `pages` pages from `start` on, and returns how many of `cpus *
/// pages` reads succeeded afterwards. Boot CPU, thread, interrupts on.
pub(crate) fn everywhere(start: usize, pages: usize, cpus: usize) -> usize {
    START.store(start, Ordering::Relaxed);
    PAGES.store(pages, Ordering::Relaxed);
    READABLE.store(0, Ordering::Relaxed);
    UNANSWERED.store(cpus - 1, Ordering::Release);
    if cpus > 1 {
        apic::send_shootdown_to_others();
    }
    drop_here();
    let all_answered = || UNANSWERED.load(Ordering::Acquire) == 0;
    let others = awaited!("all other CPUs to drop pages");
    if !patience::spin_until(others, all_answered, SPIN_TURNS) {
        idle::until(others, all_answered);
    }
    READABLE.load(Ordering::Relaxed)
}

/// The handler of the interrupt, on each other CPU.
pub(crate) fn answer() {
    drop_here();
    if UNANSWERED.fetch_sub(1, Ordering::Release) == 1 {
        apic::send_wake(0);
    }
}

fn drop_here() {
    let start = START.load(Ordering::Relaxed);
    let pages = || (0..PAGES.load(Ordering::Relaxed)).map(|page| start + page * PAGE_BYTES);
    if !KEEP_TRANSLATIONS.load(Ordering::Relaxed) {
        pages().for_each(forget);
    }
    let readable = pages().filter(|&page| probe::can_read(page)).count();
    READABLE.fetch_add(readable, Ordering::Relaxed);
}
