// SPDX-License-Identifier: MIT OR Apache-2.0
//! Storms: a handler claims far too often. Its doorbell's owner is told, to mask it, and told again
//! when it may unmask.
//!
//! The library counts and tells. It masks nothing itself: only the owner of a doorbell knows how,
//! and who else is behind it.

use crate::{
    contract::{Class, HandlerId, Platform, Storm},
    cpu::PerCpu,
    nmi::Nmi,
};

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
        if !area.storms.has_any() {
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
