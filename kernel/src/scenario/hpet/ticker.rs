// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handler behind the timer: it consumes the status and notes when.

use core::sync::atomic::{AtomicU64, Ordering};

use latchwork::{Claim, NmiContext, NmiHandler};

use crate::hpet::MachineHpet;
use crate::scenario::Tally;

/// How many claims of a run it notes at most.
pub(super) const NOTES: usize = 512;

/// How often the fault `uncounted-claim` strikes.
const UNCOUNTED_EVERY: u64 = 16;

/// The mistakes that a fault asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mistakes {
    /// Claim, and leave the status set.
    pub(super) no_ack: bool,
    /// Claim, now and then, without counting it.
    pub(super) uncounted: bool,
}

/// When one claim was made, in ticks of the main counter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note {
    /// Before the status was cleared.
    pub(super) before_ticks: u64,
    /// After it was cleared.
    pub(super) after_ticks: u64,
    /// When the spinning CPU had last seen the status not set.
    pub(super) unset_ticks: u64,
}

/// A note as the handler writes it: Relaxed, since [`Ticker::claims`] publishes it.
#[derive(Debug)]
struct Place {
    before_ticks: AtomicU64,
    after_ticks: AtomicU64,
    unset_ticks: AtomicU64,
}

impl Place {
    const fn new() -> Self {
        Self {
            before_ticks: AtomicU64::new(0),
            after_ticks: AtomicU64::new(0),
            unset_ticks: AtomicU64::new(0),
        }
    }
}

/// The handler. It is of class Platform, so it runs on one CPU at a time.
#[derive(Debug)]
pub(super) struct Ticker {
    hpet: MachineHpet,
    timer: u8,
    mistakes: Mistakes,
    /// Statuses consumed. Written by the handler.
    consumed: Tally,
    /// Claims counted. The handler counts after it has written the note; threads reset it while the
    /// timer is stopped.
    claims: AtomicU64,
    notes: [Place; NOTES],
    /// When the spinning CPU last saw the status not set. Written by that CPU's thread, read by the
    /// handler on it: Relaxed.
    unset_ticks: AtomicU64,
}

impl Ticker {
    /// A handler of the timer `timer`.
    pub(super) const fn new(hpet: MachineHpet, timer: u8, mistakes: Mistakes) -> Self {
        Self {
            hpet,
            timer,
            mistakes,
            consumed: Tally::new(),
            claims: AtomicU64::new(0),
            notes: [const { Place::new() }; NOTES],
            unset_ticks: AtomicU64::new(0),
        }
    }

    /// Forgets the claims so far. While the timer is stopped.
    pub(super) fn begin(&self) {
        self.claims.store(0, Ordering::Relaxed);
    }

    /// Claims counted since [`Self::begin`].
    pub(super) fn claims(&self) -> u64 {
        self.claims.load(Ordering::Acquire)
    }

    /// What was noted about the claims so far, in their order.
    pub(super) fn notes(&self) -> impl Iterator<Item = Note> + '_ {
        self.notes.iter().take(self.claims() as usize).map(|place| Note {
            before_ticks: place.before_ticks.load(Ordering::Relaxed),
            after_ticks: place.after_ticks.load(Ordering::Relaxed),
            unset_ticks: place.unset_ticks.load(Ordering::Relaxed),
        })
    }

    /// Reads the status once, for the CPU that spins. Returns whether it is set.
    pub(super) fn read_pending(&self) -> bool {
        let now_ticks = self.hpet.counter();
        let set = self.hpet.is_pending(self.timer);
        if !set {
            self.unset_ticks.store(now_ticks, Ordering::Relaxed);
        }
        set
    }

    fn note(&self, before_ticks: u64, after_ticks: u64) {
        let number = self.claims.load(Ordering::Relaxed);
        if let Some(place) = self.notes.get(number as usize) {
            place.before_ticks.store(before_ticks, Ordering::Relaxed);
            place.after_ticks.store(after_ticks, Ordering::Relaxed);
            place.unset_ticks.store(self.unset_ticks.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.claims.store(number.wrapping_add(1), Ordering::Release);
    }
}

// SAFETY: touches atomics of its own and calls NMI-safe methods of the HPET's driver.
unsafe impl NmiHandler for Ticker {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        let before_ticks = self.hpet.counter();
        if !self.hpet.is_pending(self.timer) {
            return Claim::None;
        }
        if !self.mistakes.no_ack {
            self.hpet.acknowledge(self.timer);
        }
        self.consumed.add(1);
        if !(self.mistakes.uncounted && self.consumed.get() % UNCOUNTED_EVERY == 0) {
            self.note(before_ticks, self.hpet.counter());
        }
        Claim::Handled
    }
}
