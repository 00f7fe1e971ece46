// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which Platform doorbells may ring a CPU.
//!
//! Rule: a grant goes to the CPUs that the ring may reach, and to no other. A ring may be under way
//! to a CPU when its doorbell's route leaves that CPU out, or when the handler's slot is used again
//! for another. So such a route *fades*: it counts until the CPU has had an open point at which it
//! noticed that, and then one that is later by the longest lateness that there is, the cap.
//!
//! *On*: written by the holder of the writer lock, on any CPU; read by the CPU itself, with
//! Relaxed. A CPU that sees the order that names a handler sees the route with which it was
//! registered. It may see a route that changes later as it was a moment ago; the CPU that changes
//! it owes a poll afterwards.
//!
//! *Fading*: the holder of the writer lock adds bits and a change, before it changes the route, so
//! that at each moment one of the two words names the CPU; the Release of that store, and the
//! Acquire of the load of the route, which comes first, keep that order. The CPU itself drops the
//! bits by an exchange, which fails if another change has come.

use super::doorbell::RingTarget;
use crate::{
    contract::HANDLERS_PER_CLASS,
    primitive::{AtomicUsize, Ordering, OwnWord, const_unless_loom},
    time::{InTicks, Timestamp},
};

const ONE_CHANGE: usize = 1 << 16;
const SLOTS: usize = ONE_CHANGE - 1;
const _: () = assert!(HANDLERS_PER_CLASS <= 16, "a bit for each");

/// A bit for each Platform slot.
#[derive(Debug)]
pub(crate) struct Routes {
    on: AtomicUsize,
    /// Bits, and above them how often some were added.
    fading: AtomicUsize,
    /// What was fading at the first open point that noticed it. Own CPU.
    noticed: OwnWord,
    noticed_at: OwnWord,
}

impl Routes {
    const_unless_loom! {
        pub(super) fn new() -> Self {
            Self {
                on: AtomicUsize::new(0),
                fading: AtomicUsize::new(0),
                noticed: OwnWord::new(0),
                noticed_at: OwnWord::new(0),
            }
        }
    }

    /// The slots whose doorbells may ring this CPU.
    pub(super) fn bits(&self) -> usize {
        self.on.load(Ordering::Acquire) | self.fading.load(Ordering::Relaxed) & SLOTS
    }

    /// Whether the doorbell of Platform slot `slot` may ring this CPU.
    pub(crate) fn ring_target(&self, slot: usize) -> RingTarget {
        match self.bits() & bit_of(slot) {
            0 => RingTarget::OtherCpus,
            _ => RingTarget::ThisCpu,
        }
    }

    /// Sets whether the doorbell of `slot` rings this CPU from now on. The caller holds the writer
    /// lock.
    pub(crate) fn set(&self, slot: usize, ring: RingTarget) {
        let on = self.on.load(Ordering::Relaxed);
        let bit = bit_of(slot);
        let changed = match ring {
            RingTarget::ThisCpu => on | bit,
            RingTarget::OtherCpus => on & !bit,
        };
        if on & !changed != 0 {
            self.begin_fading(bit);
        }
        self.on.store(changed, Ordering::Release);
    }

    /// A failure of the exchange is the CPU that drops what faded before.
    fn begin_fading(&self, bit: usize) {
        let mut fading = self.fading.load(Ordering::Relaxed);
        while let Err(now) = self.fading.compare_exchange(
            fading,
            (fading | bit).wrapping_add(ONE_CHANGE),
            Ordering::Relaxed,
            Ordering::Relaxed,
        ) {
            fading = now;
        }
    }

    /// At an open point of this CPU: drops the routes that have faded. Own CPU, outside NMIs.
    pub(crate) fn note_open_point(&self, now: Timestamp, limits: InTicks<'_>) {
        let fading = self.fading.load(Ordering::Relaxed);
        if fading & SLOTS == 0 {
            return;
        }
        if self.noticed.load(Ordering::Relaxed) != fading {
            self.noticed.store(fading, Ordering::Relaxed);
            self.noticed_at.store(now.word(), Ordering::Relaxed);
            return;
        }
        let noticed_at = Timestamp::from_word(self.noticed_at.load(Ordering::Relaxed));
        if now.since(noticed_at) > limits.cap() {
            let _ = self.fading.compare_exchange(
                fading,
                fading & !SLOTS,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }
}

/// The bit that stands for a slot.
pub(super) const fn bit_of(slot: usize) -> usize {
    1_usize.wrapping_shl(slot as u32)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Limits, time::LimitsInForce};

    const TICKS_PER_MS: u64 = 1_000;
    const CAP: usize = Limits::BARE_METAL.cap_us as usize;

    fn open_point(routes: &Routes, ticks: usize) {
        let limits = LimitsInForce::new();
        routes.note_open_point(Timestamp::from_word(ticks), limits.in_ticks(TICKS_PER_MS));
    }

    #[test]
    fn a_route_that_is_narrowed_fades_and_one_that_is_not_stays() {
        let routes = Routes::new();
        for slot in 0..HANDLERS_PER_CLASS {
            assert_eq!(routes.ring_target(slot), RingTarget::OtherCpus);
            routes.set(slot, RingTarget::ThisCpu);
        }
        routes.set(3, RingTarget::OtherCpus);
        let narrowed_at = 5 * CAP;
        for ticks in [0, 1, CAP] {
            open_point(&routes, narrowed_at + ticks);
            assert_eq!(routes.ring_target(3), RingTarget::ThisCpu, "after {ticks}");
        }
        open_point(&routes, narrowed_at + CAP + 1);
        for slot in 0..HANDLERS_PER_CLASS {
            let expected = if slot == 3 { RingTarget::OtherCpus } else { RingTarget::ThisCpu };
            assert_eq!(routes.ring_target(slot), expected);
        }
    }

    #[test]
    fn a_route_that_is_narrowed_again_meanwhile_fades_anew() {
        let routes = Routes::new();
        let narrow = || {
            routes.set(3, RingTarget::ThisCpu);
            routes.set(3, RingTarget::OtherCpus);
        };
        narrow();
        open_point(&routes, CAP);
        narrow();
        for ticks in [3 * CAP, 4 * CAP] {
            open_point(&routes, ticks);
            assert_eq!(routes.ring_target(3), RingTarget::ThisCpu, "at {ticks}");
        }
        open_point(&routes, 4 * CAP + 1);
        assert_eq!(routes.ring_target(3), RingTarget::OtherCpus);
    }
}
