// SPDX-License-Identifier: MIT OR Apache-2.0
//! Storms: a handler that claims far too often. Its doorbell's owner is told, to mask it, and told again
//! when it may unmask.
//!
//! The library counts and tells. It masks nothing itself: only the owner of a doorbell knows how, and who
//! else is behind it.

use crate::{
    contract::{Class, HANDLERS_PER_CLASS, HandlerId, Platform, Storm},
    cpu::PerCpu,
    nmi::Nmi,
    primitive::{Counter, Ordering, OwnWord, const_unless_loom},
};

/// How many claims a millisecond are too many; 0 if no number is. Written under the writer lock, while the
/// slot is free.
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

/// Which handlers are in a storm on one CPU, by bit. Own CPU: set in NMI, cleared at the tick.
#[derive(Debug)]
pub(crate) struct Storms(OwnWord);

const _: () = assert!(Class::COUNT * HANDLERS_PER_CLASS < usize::BITS as usize, "a bit for each");

const fn bit(class: Class, slot: usize) -> usize {
    let index = (class as usize).wrapping_mul(HANDLERS_PER_CLASS).wrapping_add(slot);
    1_usize.wrapping_shl(index as u32)
}

impl Storms {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self(OwnWord::new(0))
        }
    }

    /// Whether it begins by this. An NMI on top that sets another bit makes the exchange fail; then the next
    /// claim begins the storm.
    fn begin(&self, class: Class, slot: usize) -> bool {
        let storms = self.0.load(Ordering::Relaxed);
        let more = storms | bit(class, slot);
        let begun =
            self.0.compare_exchange(storms, more, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        begun && more != storms
    }

    fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// An NMI on top that sets another bit is not lost: the exchange fails, and the next tick tries again.
    fn end(&self, class: Class, slot: usize) -> bool {
        let storms = self.0.load(Ordering::Relaxed);
        let fewer = storms & !bit(class, slot);
        let ended =
            self.0.compare_exchange(storms, fewer, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        ended && fewer != storms
    }
}

impl<P: Platform> Nmi<P> {
    /// A handler with a limit has claimed.
    #[cold]
    pub(crate) fn watch_storm(&self, cpu: usize, area: &PerCpu, class: Class, slot: usize) {
        let Some((handler, limit)) = self.core.registry.slot(class, slot).map(|it| {
            (HandlerId { class, slot, generation: it.generation() }, it.storm_above.get())
        }) else {
            return;
        };
        let ms = self.now_ms();
        let claims = area.slot_counters(class, slot).map_or(0, |counters| counters.burst(ms));
        if claims > limit && area.storms.begin(class, slot) {
            self.platform.storm_began(&Storm { cpu, handler, claims });
        }
    }

    /// At the tick: tells the owners of storms that began before this millisecond.
    pub(crate) fn end_storms(&self, cpu: usize, area: &PerCpu) {
        if !area.storms.any() {
            return;
        }
        let ms = self.now_ms();
        for class in Class::ALL {
            for (slot, it) in self.core.registry.slots_of(class).iter().enumerate() {
                let is_over = area.slot_counters(class, slot).is_some_and(|it| !it.bursts_in(ms));
                if is_over && area.storms.end(class, slot) {
                    let handler = HandlerId { class, slot, generation: it.generation() };
                    self.platform.storm_ended(&Storm { cpu, handler, claims: 0 });
                }
            }
        }
    }

    fn now_ms(&self) -> u16 {
        let ticks_per_ms = self.platform.ticks_per_ms();
        self.platform.now_ticks().checked_div(ticks_per_ms).unwrap_or(0) as u16
    }
}
