// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which sources are in a storm, and how many claims of a handler make a storm.

use crate::{
    contract::{Class, HANDLERS_PER_CLASS},
    primitive::{Counter, Ordering, OwnWord, const_unless_loom},
};

/// How many claims in a millisecond are not a storm yet; 0 for no limit. Written under the writer
/// lock, while the slot is free.
#[derive(Debug)]
pub(crate) struct StormLimit(Counter);

impl StormLimit {
    pub(crate) const fn new() -> Self {
        Self(Counter::new(0))
    }

    pub(crate) fn set(&self, claims_per_ms: u16) {
        self.0.store(claims_per_ms.into(), Ordering::Relaxed);
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Which sources are in a storm on one CPU, one bit each. Own CPU: it sets a bit in NMI and clears
/// it at its tick.
#[derive(Debug)]
pub(crate) struct Storms(OwnWord);

const HANDLERS: usize = Class::COUNT * HANDLERS_PER_CLASS;
const _: () = assert!(HANDLERS < usize::BITS as usize, "a bit for each, and one for nobody");

impl Storms {
    /// The bit of a handler.
    pub(crate) const fn of(class: Class, slot: usize) -> usize {
        let index = (class as usize).wrapping_mul(HANDLERS_PER_CLASS).wrapping_add(slot);
        1_usize.wrapping_shl(index as u32)
    }

    /// The bit of the NMIs that no handler claims.
    pub(crate) const UNCLAIMED: usize = 1 << HANDLERS;

    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self(OwnWord::new(0))
        }
    }

    /// Begins the storm of this bit. Returns whether this call began it. An NMI on top that sets
    /// another bit makes the exchange fail; then the next claim begins the storm.
    pub(crate) fn begin(&self, bit: usize) -> bool {
        let storms = self.0.load(Ordering::Relaxed);
        let more = storms | bit;
        let begun =
            self.0.compare_exchange(storms, more, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        begun && more != storms
    }

    pub(crate) fn has_any(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Ends the storm of this bit. Returns whether this call ended it. If an NMI on top sets
    /// another bit, the exchange fails, so that bit is not lost, and the next tick tries again.
    pub(crate) fn end(&self, bit: usize) -> bool {
        let storms = self.0.load(Ordering::Relaxed);
        let fewer = storms & !bit;
        let ended =
            self.0.compare_exchange(storms, fewer, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        ended && fewer != storms
    }
}
