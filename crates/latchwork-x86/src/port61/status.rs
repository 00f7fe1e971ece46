// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a reading of port 61H says.

use core::fmt;

const SERR_MASK: u8 = 1 << 2;
const IOCHK_MASK: u8 = 1 << 3;
const IOCHK: u8 = 1 << 6;
const SERR: u8 = 1 << 7;

/// One reading of port 61H. All bits are from the same moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NmiStatus(pub(super) u8);

impl NmiStatus {
    /// The byte as read. Bits 0, 1, 4 and 5 belong to the timer and the speaker; bit 4 toggles.
    #[must_use]
    pub const fn raw(self) -> u8 {
        self.0
    }

    /// A PCI device or the memory controller has pulsed SERR# since its status was last cleared
    /// (bit 7).
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
        self.0 & SERR_MASK == 0
    }

    /// IOCHK# may raise an NMI (bit 3 is 0).
    #[must_use]
    pub const fn iochk_enabled(self) -> bool {
        self.0 & IOCHK_MASK == 0
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
        !self.active().is_empty()
    }

    /// The sources whose status is set; none where nothing answers.
    #[must_use]
    pub const fn active(self) -> Sources {
        let is_there = !self.is_absent();
        Sources { serr: is_there && self.serr(), iochk: is_there && self.iochk() }
    }

    /// Which of `sources` may raise an NMI.
    #[must_use]
    pub const fn unmasked(self, sources: Sources) -> Sources {
        Sources {
            serr: sources.serr && self.serr_enabled(),
            iochk: sources.iochk && self.iochk_enabled(),
        }
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
        match self.active() {
            none if none.is_empty() => {
                write!(formatter, "{none} is set, so it says nothing about the source")
            }
            Sources::BOTH => write!(formatter, "{} are set", Sources::BOTH),
            one => write!(formatter, "{one} is set"),
        }?;
        formatter.write_str(match (self.serr_enabled(), self.iochk_enabled()) {
            (true, true) => "; both may raise NMIs",
            (true, false) => "; IOCHK# is kept from raising NMIs",
            (false, true) => "; SERR# is kept from raising NMIs",
            (false, false) => "; both are kept from raising NMIs",
        })
    }
}

/// Some of the two sources of NMIs behind the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// SERR#: a PCI device or the memory controller has found an error.
    pub serr: bool,
    /// IOCHK#: an ISA device has found an error.
    pub iochk: bool,
}

impl Sources {
    /// SERR# alone.
    pub const SERR: Self = Self { serr: true, iochk: false };
    /// IOCHK# alone.
    pub const IOCHK: Self = Self { serr: false, iochk: true };
    /// Both.
    pub const BOTH: Self = Self { serr: true, iochk: true };

    /// Neither.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        !self.serr && !self.iochk
    }

    pub(super) const fn mask_bits(self) -> u8 {
        (if self.serr { SERR_MASK } else { 0 }) | (if self.iochk { IOCHK_MASK } else { 0 })
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match (self.serr, self.iochk) {
            (true, true) => "SERR# (PCI system error) and IOCHK# (ISA channel check)",
            (true, false) => "SERR# (PCI system error)",
            (false, true) => "IOCHK# (ISA channel check)",
            (false, false) => "neither SERR# nor IOCHK#",
        })
    }
}
