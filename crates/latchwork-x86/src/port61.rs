// SPDX-License-Identifier: MIT OR Apache-2.0
//! Port 61H: what the chipset tells about an NMI that nothing else explains (82371AB PIIX4
//! datasheet, 4.2.4.1, "NMISC"; later chipsets have the same as "NMI_SC").
//!
//! This module reads the port for a report. It does not service the two sources: it neither clears
//! them nor makes the chipset give a new edge.

#![deny(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use core::fmt;

use crate::hw::Port;

const PORT: u16 = 0x61;

const SERR_DISABLED: u8 = 1 << 2;
const IOCHK_DISABLED: u8 = 1 << 3;
const IOCHK: u8 = 1 << 6;
const SERR: u8 = 1 << 7;

/// Reads the port, once. NMI-safe.
///
/// # Safety
///
/// The port is the chipset's NMI status port, or nothing answers at it. No PC has anything else
/// there.
pub unsafe fn read(port: &impl Port) -> NmiStatus {
    // SAFETY: the contract of this function; the read clears nothing.
    NmiStatus(unsafe { port.read_u8(PORT) })
}

/// One reading of port 61H. All bits are from the same moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NmiStatus(u8);

impl NmiStatus {
    /// The byte as read. Bits 0, 1, 4 and 5 belong to the timer and the speaker; bit 4 toggles.
    #[must_use]
    pub const fn raw(self) -> u8 {
        self.0
    }

    /// A PCI device or the memory controller has pulsed SERR# (bit 7).
    #[must_use]
    pub const fn serr(self) -> bool {
        self.0 & SERR != 0
    }

    /// An ISA device has asserted IOCHK# (bit 6).
    #[must_use]
    pub const fn iochk(self) -> bool {
        self.0 & IOCHK != 0
    }

    /// SERR# may raise an NMI (bit 2 is 0).
    #[must_use]
    pub const fn serr_enabled(self) -> bool {
        self.0 & SERR_DISABLED == 0
    }

    /// IOCHK# may raise an NMI (bit 3 is 0).
    #[must_use]
    pub const fn iochk_enabled(self) -> bool {
        self.0 & IOCHK_DISABLED == 0
    }

    /// All bits are 1, as where no device answers. The port of a chipset does not read so: it shows
    /// no status of a source that is disabled.
    #[must_use]
    pub const fn is_absent(self) -> bool {
        self.0 == u8::MAX
    }

    /// Whether the reading names a source: a status bit of a port that is there. Without one, the
    /// other bits say nothing about the NMI, however the number looks.
    #[must_use]
    pub const fn names_a_source(self) -> bool {
        !self.is_absent() && (self.serr() || self.iochk())
    }
}

impl fmt::Debug for NmiStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "NmiStatus({:#04x})", self.0)
    }
}

impl fmt::Display for NmiStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "port 0x61 reads {:#04x}: ", self.0)?;
        if self.is_absent() {
            return formatter.write_str("all ones, so nothing answers there and it says nothing");
        }
        formatter.write_str(match (self.serr(), self.iochk()) {
            (true, true) => "SERR# (PCI system error) and IOCHK# (ISA channel check) are set",
            (true, false) => "SERR# (PCI system error) is set",
            (false, true) => "IOCHK# (ISA channel check) is set",
            (false, false) => {
                "neither SERR# nor IOCHK# is set, so it says nothing about the source"
            }
        })?;
        formatter.write_str(match (self.serr_enabled(), self.iochk_enabled()) {
            (true, true) => "; both may raise NMIs",
            (true, false) => "; IOCHK# is kept from raising NMIs",
            (false, true) => "; SERR# is kept from raising NMIs",
            (false, false) => "; both are kept from raising NMIs",
        })
    }
}
