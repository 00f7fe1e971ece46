// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's error block: a place in memory where the host writes that something has happened,
//! before it rings by the machine's NMI button. Firmware reports hardware errors in this way.
//!
//! The condition is a byte that the host adds one to. What the handler has taken is next to it.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use latchwork::{Claim, NmiContext, NmiHandler};

use crate::scenario::Tally;
use crate::{record, time};

#[repr(C, align(64))]
struct ErrorBlock {
    /// How many events there were, modulo 256. Written by the host alone.
    raised: AtomicU8,
    /// How many of them the handler has taken. Only one CPU at a time asks the handler.
    taken: AtomicU8,
}

static BLOCK: ErrorBlock = ErrorBlock { raised: AtomicU8::new(0), taken: AtomicU8::new(0) };

static CLAIMED: Tally = Tally::new();

/// When the handler last took an event. Written before it counts that.
static CLAIMED_AT_TICKS: AtomicU64 = AtomicU64::new(0);

/// The fault `empty-block`. Written before the handler is registered.
pub(super) static STAYS_EMPTY: AtomicBool = AtomicBool::new(false);

pub(super) struct Reader;
pub(super) static READER: Reader = Reader;

// SAFETY: touches atomics in statics only.
unsafe impl NmiHandler for Reader {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        let raised = BLOCK.raised.load(Ordering::Acquire);
        let events = raised.wrapping_sub(BLOCK.taken.load(Ordering::Relaxed));
        if events == 0 {
            return Claim::None;
        }
        BLOCK.taken.store(raised, Ordering::Relaxed);
        CLAIMED_AT_TICKS.store(time::now_ticks(), Ordering::Relaxed);
        CLAIMED.add(events.into());
        Claim::Handled
    }
}

/// Asks the host for one event.
pub(super) fn ask_for_event() {
    if STAYS_EMPTY.load(Ordering::Relaxed) {
        record::ask(1);
    } else {
        // Low memory is mapped onto itself.
        record::ask_with_condition(1, (&raw const BLOCK.raised).expose_provenance() as u64);
    }
}

/// Events that the host has raised, modulo 256.
pub(super) fn raised() -> u8 {
    BLOCK.raised.load(Ordering::Acquire)
}

/// Events that the handler has taken.
pub(super) fn claimed() -> u64 {
    CLAIMED.get()
}

/// When it last did so.
pub(super) fn claimed_at_ticks() -> u64 {
    CLAIMED_AT_TICKS.load(Ordering::Relaxed)
}
