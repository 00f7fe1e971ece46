// SPDX-License-Identifier: MIT OR Apache-2.0
//! Redirection entries (82093AA datasheet, 3.2.4).

use super::{Mask, Polarity, Trigger};
use crate::icr::ApicId;
use crate::msi::{IdTooWide, physical_destination};
use crate::{NmiSource, Vector};

const DELIVERY_MODE: u32 = 0b111 << 8;
const DELIVERY_NMI: u32 = 0b100 << 8;
const LOGICAL_DESTINATION: u32 = 1 << 11;
const DELIVERY_PENDING: u32 = 1 << 12;
const ACTIVE_LOW: u32 = 1 << 13;
const REMOTE_IRR: u32 = 1 << 14;
const LEVEL_TRIGGERED: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;
const HIGH_DESTINATION_SHIFT: u32 = 24;

const LOW_RESERVED: u32 = !0x1_FFFF;
const LOW_READ_ONLY: u32 = DELIVERY_PENDING | REMOTE_IRR;
/// Bits 55:48 of the entry are reserved in the 82093AA, where they read as 0; later chipsets extend
/// the destination into them, or select the format for interrupt remapping. An 8-bit physical
/// destination takes 0 in all of them, so the driver preserves only the reserved bits below them.
const HIGH_RESERVED: u32 = 0xFFFF;

/// How a signal on a pin is delivered. Only fixed delivery has a choice of trigger: an NMI entry
/// must be programmed as edge-triggered (82093AA datasheet, 3.2.4, "Delivery Mode").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// As a maskable interrupt.
    Fixed(Vector, Trigger),
    /// As an NMI, with what a CPU with NMI-source reporting reports; other CPUs ignore it.
    Nmi(Option<NmiSource>),
}

/// Where a signal on a pin goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// How it is delivered.
    pub delivery: Delivery,
    /// Which level of the pin is active.
    pub polarity: Polarity,
    /// The CPU that gets it. Physical destination mode.
    pub to: ApicId,
}

/// A redirection entry as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub(super) low: u32,
    pub(super) high: u32,
}

impl Entry {
    /// The entry as read.
    #[must_use]
    pub const fn bits(self) -> u64 {
        (self.high as u64) << 32 | self.low as u64
    }

    /// The mask bit.
    #[must_use]
    pub const fn mask(self) -> Mask {
        if self.low & MASKED != 0 { Mask::Masked } else { Mask::Unmasked }
    }

    /// Whether the entry delivers NMIs.
    #[must_use]
    pub const fn delivers_nmi(self) -> bool {
        self.low & DELIVERY_MODE == DELIVERY_NMI
    }

    /// The vector field, which for an NMI is the number of its source or 0.
    #[must_use]
    pub const fn vector_field(self) -> u8 {
        self.low as u8
    }

    /// Which level of the pin is active.
    #[must_use]
    pub const fn polarity(self) -> Polarity {
        if self.low & ACTIVE_LOW != 0 { Polarity::ActiveLow } else { Polarity::ActiveHigh }
    }

    /// The trigger bit. A level that firmware left in an NMI entry is treated as an edge.
    #[must_use]
    pub const fn trigger(self) -> Trigger {
        if self.low & LEVEL_TRIGGERED != 0 { Trigger::Level } else { Trigger::Edge }
    }

    /// Whether the entry has raised an interrupt that no CPU has accepted yet.
    #[must_use]
    pub const fn is_pending(self) -> bool {
        self.low & DELIVERY_PENDING != 0
    }

    /// Whether a CPU has accepted a level-triggered interrupt and not ended it yet. `None` for an
    /// edge-triggered entry, where the bit means nothing.
    #[must_use]
    pub const fn remote_irr(self) -> Option<bool> {
        match self.trigger() {
            Trigger::Level => Some(self.low & REMOTE_IRR != 0),
            Trigger::Edge => None,
        }
    }

    /// The destination in physical destination mode; `None` in logical mode.
    #[must_use]
    pub const fn physical_destination(self) -> Option<u8> {
        if self.low & LOGICAL_DESTINATION != 0 {
            None
        } else {
            Some((self.high >> HIGH_DESTINATION_SHIFT) as u8)
        }
    }

    /// This entry with another mask bit, to be written back. A level that firmware left in an NMI
    /// entry becomes an edge.
    pub(super) const fn masked(self, mask: Mask) -> Self {
        let mask = match mask {
            Mask::Masked => MASKED,
            Mask::Unmasked => 0,
        };
        let level = if self.delivers_nmi() { LEVEL_TRIGGERED } else { 0 };
        Self { low: (self.low & !(LOW_READ_ONLY | MASKED | level)) | mask, high: self.high }
    }

    /// This entry, masked and with another route, to be written back.
    pub(super) const fn routed(self, route: &Route) -> Result<Self, IdTooWide> {
        let destination = match physical_destination(route.to) {
            Ok(destination) => destination as u32,
            Err(error) => return Err(error),
        };
        let delivery = match route.delivery {
            Delivery::Fixed(vector, Trigger::Edge) => vector.get() as u32,
            Delivery::Fixed(vector, Trigger::Level) => vector.get() as u32 | LEVEL_TRIGGERED,
            Delivery::Nmi(source) => DELIVERY_NMI | NmiSource::field(source) as u32,
        };
        let polarity = match route.polarity {
            Polarity::ActiveHigh => 0,
            Polarity::ActiveLow => ACTIVE_LOW,
        };
        Ok(Self {
            low: (self.low & LOW_RESERVED) | delivery | polarity | MASKED,
            high: (self.high & HIGH_RESERVED) | destination << HIGH_DESTINATION_SHIFT,
        })
    }
}
