// SPDX-License-Identifier: MIT OR Apache-2.0
//! Storms: a handler that claims far too often, or NMIs that nobody claims. The kernel is told, so
//! that it masks what rings, and told again when it may unmask.
//!
//! The library counts and tells. It masks nothing itself: only the owner of a doorbell knows how,
//! and who else is behind it.

use core::fmt;

use crate::{
    context::SourceMap,
    cpu::PerCpu,
    handler::Class,
    nmi::Nmi,
    order::HANDLERS_PER_CLASS,
    platform::Platform,
    primitive::{Counter, Ordering, OwnWord, const_unless_loom},
    registry::HandlerId,
    slot::Slot,
};

/// NMIs come to one CPU far more often than anybody means them to.
///
/// ```
/// use latchwork::{Storm, StormSource};
/// fn storm_began(storm: &Storm) {
///     match storm.source {
///         StormSource::Handler(id) => { /* mask the doorbell of the driver that has this id */ }
///         StormSource::Unclaimed { .. } => { /* mask what nobody is behind; see there */ }
///         _ => {}
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Storm {
    /// The CPU.
    pub cpu: usize,
    /// Where the NMIs come from.
    pub source: StormSource,
    /// How many there were within the present [`within_ms`](Self::within_ms) when the storm began,
    /// one more than the limit; 0 when it is over.
    pub count: usize,
    /// What they are counted by, in milliseconds: 1 for a handler's claims, 100 for NMIs that
    /// nobody claims.
    pub within_ms: u32,
}

/// Where the NMIs of a [`Storm`] come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StormSource {
    /// This handler claims more often than its [limit](crate::HandlerSpec::storm_above). Mask its
    /// doorbell.
    Handler(HandlerId),
    /// Nobody claims them, and no grant explains them; the limit is
    /// [`Limits::unknowns_per_100_ms`](crate::Limits::unknowns_per_100_ms).
    ///
    /// What rings is a doorbell that no handler is behind, or one whose handler does not see its
    /// condition. So mask, on this CPU, what could ring it and has no handler: a line (on a PC,
    /// LINT1 or LINT0 of its APIC, an I/O APIC entry of delivery mode NMI), a message, an unused
    /// entry of its local vector table; and, at the chipset, what drives the line (port 0x61's
    /// SERR# and IOCHK#). What the chipset's status says *now* tells which.
    Unclaimed {
        /// Which sources rang, where the CPU reports that.
        sources: Option<SourceMap>,
    },
}

impl fmt::Display for Storm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, source, count, within_ms } = self;
        write!(f, "NMI storm on CPU {cpu} that ")?;
        match source {
            StormSource::Handler(HandlerId { class, slot, .. }) => {
                write!(f, "the handler in slot {slot} of class {class:?} claims")?;
            }
            StormSource::Unclaimed { sources } => {
                f.write_str("nobody claims")?;
                if let Some(sources) = sources {
                    write!(f, " (source bitmap {:#06x})", sources.bits())?;
                }
            }
        }
        match count {
            0 => f.write_str(": over"),
            _ => write!(f, ": {count} within {within_ms} ms"),
        }
    }
}

/// How many claims a millisecond are too many; 0 if no number is. Written under the writer lock,
/// while the slot is free.
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

/// What is in a storm on one CPU, by bit. Own CPU: set in NMI, cleared at the tick.
#[derive(Debug)]
pub(crate) struct Storms(OwnWord);

const HANDLERS: usize = Class::COUNT * HANDLERS_PER_CLASS;
const _: () = assert!(HANDLERS < usize::BITS as usize, "a bit for each, and one for nobody");

const fn bit(class: Class, slot: usize) -> usize {
    let index = (class as usize).wrapping_mul(HANDLERS_PER_CLASS).wrapping_add(slot);
    1_usize.wrapping_shl(index as u32)
}

impl Storms {
    /// The bit of the NMIs that nobody claims.
    pub(crate) const UNCLAIMED: usize = 1 << HANDLERS;

    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self(OwnWord::new(0))
        }
    }

    /// Whether the storm of this bit begins by this. An NMI on top that sets another bit makes the
    /// exchange fail; then the next claim begins the storm.
    pub(crate) fn begin(&self, bit: usize) -> bool {
        let storms = self.0.load(Ordering::Relaxed);
        let more = storms | bit;
        let begun =
            self.0.compare_exchange(storms, more, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        begun && more != storms
    }

    pub(crate) fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// An NMI on top that sets another bit is not lost: the exchange fails, and the next tick tries
    /// again.
    pub(crate) fn end(&self, bit: usize) -> bool {
        let storms = self.0.load(Ordering::Relaxed);
        let fewer = storms & !bit;
        let ended =
            self.0.compare_exchange(storms, fewer, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        ended && fewer != storms
    }
}

impl<P: Platform> Nmi<P> {
    /// A handler has claimed, at `now_ticks`.
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
        let claims = area.slot_counters(class, slot).map_or(0, |counters| counters.burst(ms));
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
        let Some(counters) = area.slot_counters(class, slot) else {
            return;
        };
        if area.storms.begin(bit(class, slot)) {
            let generation = self.generation(class, slot);
            counters.storm_begins(generation);
            let source = StormSource::Handler(self.id_of(class, slot, generation));
            self.tell_beginning(area, &Storm { cpu, source, count: claims, within_ms: 1 });
        }
    }

    /// The end is told at a tick, so this CPU does not sleep over it: what was masked would stay
    /// so.
    pub(crate) fn tell_beginning(&self, area: &PerCpu, storm: &Storm) {
        self.platform.storm_began(storm);
        self.answer_for_edge(storm.cpu, area);
    }

    /// At the tick: tells of storms that are over. A handler's is once it has not claimed for a
    /// whole millisecond, or is gone.
    pub(crate) fn end_storms(&self, cpu: usize, area: &PerCpu) {
        if !area.storms.any() {
            return;
        }
        let now_ticks = self.platform.now_ticks();
        self.end_unclaimed_storm(cpu, area, now_ticks);
        let ms = self.ms_of(now_ticks);
        for class in Class::ALL {
            for slot in 0..HANDLERS_PER_CLASS {
                if let Some(counters) = area.slot_counters(class, slot) {
                    let generation = self.generation(class, slot);
                    let began = counters.storm_began(generation);
                    let is_over = began != generation || ms.wrapping_sub(counters.burst_ms()) >= 2;
                    if is_over && area.storms.end(bit(class, slot)) {
                        let source = StormSource::Handler(self.id_of(class, slot, began));
                        self.platform.storm_ended(&Storm { cpu, source, count: 0, within_ms: 1 });
                    }
                }
            }
        }
    }

    fn generation(&self, class: Class, slot: usize) -> usize {
        self.core.registry.slot(class, slot).map_or(0, Slot::generation)
    }

    fn id_of(&self, class: Class, slot: usize, generation: usize) -> HandlerId {
        HandlerId { subsystem: self.core.id(), class, slot, generation }
    }

    fn ms_of(&self, ticks: u64) -> u16 {
        ticks.checked_div(self.platform.ticks_per_ms()).unwrap_or(0) as u16
    }
}
