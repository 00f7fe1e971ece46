// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which sources are in a storm, and how many claims of a handler make a storm.

use crate::{
    contract::{Class, HANDLERS_PER_CLASS},
    primitive::{AtomicUsize, Counter, CounterU32, Ordering, const_unless_loom},
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
/// it at its tick. Other CPUs clear bits: those of a handler that is removed, and all of a CPU that
/// is marked offline.
#[derive(Debug)]
pub(crate) struct Storms {
    bits: AtomicUsize,
    /// The generation of each slot when its last storm began, modulo 2³². It outlives the handler.
    generations: [CounterU32; HANDLERS],
}

const HANDLERS: usize = Class::COUNT * HANDLERS_PER_CLASS;
const _: () = assert!(HANDLERS < usize::BITS as usize, "a bit for each, and one for nobody");

const fn index_of(class: Class, slot: usize) -> usize {
    (class as usize).wrapping_mul(HANDLERS_PER_CLASS).wrapping_add(slot)
}

impl Storms {
    /// The bit of a handler.
    pub(crate) const fn of(class: Class, slot: usize) -> usize {
        1_usize.wrapping_shl(index_of(class, slot) as u32)
    }

    /// The bit of the NMIs that no handler claims.
    pub(crate) const UNCLAIMED: usize = 1 << HANDLERS;

    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self {
                bits: AtomicUsize::new(0),
                generations: [const { CounterU32::new(0) }; HANDLERS],
            }
        }
    }

    /// Notes that a storm of the handler of this generation begins. Own CPU, inside the read side.
    pub(crate) fn note_generation(&self, class: Class, slot: usize, generation: usize) {
        if let Some(noted) = self.generations.get(index_of(class, slot)) {
            noted.store(generation as u32, Ordering::Relaxed);
        }
    }

    /// The generation of the handler whose storm was the last, now that the slot's generation is
    /// `generation`.
    pub(crate) fn generation(&self, class: Class, slot: usize, generation: usize) -> usize {
        let noted = self.generations.get(index_of(class, slot));
        let began = noted.map_or(generation as u32, |noted| noted.load(Ordering::Relaxed));
        generation.wrapping_sub((generation as u32).wrapping_sub(began) as usize)
    }

    /// Begins the storm of this bit. Returns whether this call began it. Another change meanwhile
    /// makes the exchange fail; then the next claim begins the storm.
    pub(crate) fn begin(&self, bit: usize) -> bool {
        let storms = self.bits.load(Ordering::Relaxed);
        let more = storms | bit;
        let begun =
            self.bits.compare_exchange(storms, more, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        begun && more != storms
    }

    pub(crate) fn has_any(&self) -> bool {
        self.bits.load(Ordering::Relaxed) != 0
    }

    /// Ends the storm of this bit, outside NMIs. Returns whether this call ended it.
    pub(crate) fn end(&self, bit: usize) -> bool {
        self.bits.load(Ordering::Relaxed) & bit != 0
            && self.bits.fetch_and(!bit, Ordering::Relaxed) & bit != 0
    }
}
