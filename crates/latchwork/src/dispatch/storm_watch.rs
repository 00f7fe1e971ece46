// SPDX-License-Identifier: MIT OR Apache-2.0
//! Storms: a handler claims far too often, or NMIs come that no handler claims. The library calls
//! the kernel when a storm begins, so that the kernel masks what rings, and when it is over, so
//! that the kernel may unmask it.
//!
//! A storm ends at the tick of its CPU. Where no such tick is to come it ends before: a CPU that
//! goes offline ends all of its storms, and a CPU that removes a handler ends those of that
//! handler.
//!
//! The library only counts and calls. It masks nothing itself: only the owner of a doorbell knows
//! how to mask it, and which others are behind it.

use crate::{
    contract::{Class, HANDLERS_PER_CLASS, HandlerId, Platform, Storm, StormSource},
    cpu::PerCpu,
    nmi::Nmi,
    registry::Slot,
    stats::{Millisecond, Storms, end_storm},
};

use super::unclaimed_storm::unclaimed_storm;

impl<P: Platform> Nmi<P> {
    /// Counts a claim that a handler has made at `now_ticks`.
    #[inline(always)]
    pub(crate) fn watch_storm(
        &self,
        (cpu, area): (usize, &PerCpu),
        (class, slot): (Class, usize),
        limit: usize,
        now_ticks: u64,
    ) {
        if limit == 0 {
            return;
        }
        let ms = self.ms_of(now_ticks);
        let claims =
            area.slot_counters(class, slot).map_or(0, |counters| counters.count_claim_in(ms));
        if claims > limit {
            self.begin_storm((cpu, area), (class, slot), claims);
        }
    }

    #[cold]
    fn begin_storm(
        &self,
        (cpu, area): (usize, &PerCpu),
        (class, slot): (Class, usize),
        claims: usize,
    ) {
        if area.storms.begin(Storms::of(class, slot)) {
            let generation = self.generation(class, slot);
            area.storms.note_generation(class, slot, generation);
            let source = StormSource::Handler(self.id_of(class, slot, generation));
            self.tell_beginning(area, &Storm { cpu, source, count: claims, within_ms: 1 });
        }
    }

    /// Calls the kernel when a storm begins. The library calls it about the end at a tick, so this
    /// CPU keeps its tick until then: otherwise what the kernel masked would stay masked.
    pub(crate) fn tell_beginning(&self, area: &PerCpu, storm: &Storm) {
        self.platform.storm_began(storm);
        self.answer_for_edge(storm.cpu, area);
    }

    /// At the tick: calls the kernel about storms that are over. The storm of a handler is over
    /// once the handler has not claimed for a whole millisecond, or is gone.
    pub(crate) fn end_storms(&self, cpu: usize, area: &PerCpu) {
        if !area.storms.has_any() {
            return;
        }
        let now_ticks = self.platform.now_ticks();
        self.end_unclaimed_storm(cpu, area, now_ticks);
        let ms = self.ms_of(now_ticks);
        for class in Class::ALL {
            for slot in 0..HANDLERS_PER_CLASS {
                if let Some(counters) = area.slot_counters(class, slot) {
                    let generation = self.generation(class, slot);
                    let began = area.storms.generation(class, slot, generation);
                    if began != generation || ms.since(counters.last_claim()) >= 2 {
                        end_storm(&self.platform, (cpu, area), self.id_of(class, slot, began));
                    }
                }
            }
        }
    }

    /// Calls the kernel about the end of every storm on a CPU that has just been taken offline, on
    /// that CPU or on the one that marks it: no tick of that CPU is to come.
    pub(crate) fn end_all_storms(&self, cpu: usize, area: &PerCpu) {
        if !area.storms.has_any() {
            return;
        }
        if area.storms.end(Storms::UNCLAIMED) {
            self.platform.storm_ended(&unclaimed_storm(cpu, None, 0));
        }
        for class in Class::ALL {
            for slot in 0..HANDLERS_PER_CLASS {
                let began = area.storms.generation(class, slot, self.generation(class, slot));
                end_storm(&self.platform, (cpu, area), self.id_of(class, slot, began));
            }
        }
    }

    fn generation(&self, class: Class, slot: usize) -> usize {
        self.core.registry.slot(class, slot).map_or(0, Slot::generation)
    }

    fn id_of(&self, class: Class, slot: usize, generation: usize) -> HandlerId {
        HandlerId { subsystem: self.core.id(), class, slot, generation }
    }

    fn ms_of(&self, ticks: u64) -> Millisecond {
        Millisecond::new(ticks.checked_div(self.platform.ticks_per_ms()).unwrap_or(0))
    }
}
