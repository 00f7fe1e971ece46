// SPDX-License-Identifier: MIT OR Apache-2.0
//! A number by which NMIs see removals: it is odd while one is in progress.
//!
//! A scenario about removals shows something only if dispatches overlap them. So this module counts
//! dispatches that begin or end during a removal, and calls of the handler during which one begins.

use core::sync::atomic::{AtomicU64, Ordering};

use latchwork::{Claim, NmiContext, NmiHandler};

use super::Tally;
use crate::cpu::MAX_CPUS;

/// Removals begun and ended. Writer: CPU 0. SeqCst, to be as strict as can be.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A removal begins. CPU 0.
pub(super) fn begin() {
    NUMBER.fetch_add(1, Ordering::SeqCst);
}

/// It has ended. CPU 0.
pub(super) fn end() {
    NUMBER.fetch_add(1, Ordering::SeqCst);
}

/// The number. NMI-safe.
pub(super) fn number() -> u64 {
    NUMBER.load(Ordering::SeqCst)
}

/// The word that [`number`] reads, for code that does not call it.
pub(super) fn number_word() -> &'static AtomicU64 {
    &NUMBER
}

/// Removals that have ended.
pub(super) fn ended() -> u64 {
    number() / 2
}

const fn in_progress(number: u64) -> bool {
    number % 2 == 1
}

/// What the NMIs of one CPU have seen.
struct Witness {
    /// The number at the beginning of the dispatch in progress.
    began_at: AtomicU64,
    overlaps: Tally,
    surprised: Tally,
}

static WITNESSES: [Witness; MAX_CPUS] = [const {
    Witness { began_at: AtomicU64::new(0), overlaps: Tally::new(), surprised: Tally::new() }
}; MAX_CPUS];

/// Dispatches that began or ended while a removal was in progress.
pub(super) fn overlaps() -> u64 {
    WITNESSES.iter().map(|witness| witness.overlaps.get()).sum()
}

/// Calls on CPUs other than 0 during which a removal began.
pub(super) fn surprised_elsewhere() -> u64 {
    WITNESSES[1..].iter().map(|witness| witness.surprised.get()).sum()
}

/// The library asks it before the handler that is removed. It notes the number at the beginning of
/// the dispatch.
pub(super) struct Opener;
/// The library asks it after that handler. It counts by the number at the end.
pub(super) struct Closer;

// SAFETY: touches atomics in statics only.
unsafe impl NmiHandler for Opener {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        if let Some(witness) = WITNESSES.get(ctx.cpu()) {
            witness.began_at.store(number(), Ordering::Relaxed);
        }
        Claim::None
    }
}

// SAFETY: touches atomics in statics only.
unsafe impl NmiHandler for Closer {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        if let Some(witness) = WITNESSES.get(ctx.cpu()) {
            let began_at = witness.began_at.load(Ordering::Relaxed);
            if in_progress(began_at) || in_progress(number()) {
                witness.overlaps.add(1);
            }
        }
        Claim::None
    }
}

/// Notes that a call of the handler that is removed began when the number was `began_at`, and ends
/// now. NMI-safe.
pub(super) fn note_call(ctx: &NmiContext<'_>, began_at: u64) {
    if let Some(witness) = WITNESSES.get(ctx.cpu()) {
        if !in_progress(began_at) && number() == began_at + 1 {
            witness.surprised.add(1);
        }
    }
}
