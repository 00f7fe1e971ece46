// SPDX-License-Identifier: MIT OR Apache-2.0
//! The I/O APIC (82093AA datasheet, and the I/O APIC chapter of later Intel chipsets): what a
//! signal on each of its pins raises, an NMI among others.
//!
//! The driver reaches its registers through an index and a window, two accesses that belong
//! together. So every method takes `&mut self`, reads included, and **none may be called in an NMI
//! that could have interrupted another**: in NMI context, get at the driver by a try-lock only.
//! Nothing locks, waits, allocates or panics.
//!
//! An edge that comes while its entry is masked is lost: the I/O APIC does not hold it (82093AA
//! datasheet, 3.2.4, "Interrupt Mask"). So after you have unmasked an NMI entry, look at the source
//! once: a line that is active already gives no edge.

#![deny(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod entry;

use core::fmt;

pub use crate::lapic::lvt::{Mask, Polarity, Trigger};
pub use entry::{Delivery, Entry, Route};

use crate::hw::Mmio;
use crate::msi::IdTooWide;

const INDEX_OFFSET: usize = 0x00;
const WINDOW_OFFSET: usize = 0x10;

const ID: u8 = 0x00;
const VERSION: u8 = 0x01;
const FIRST_ENTRY: u8 = 0x10;

/// Driver for one I/O APIC.
#[derive(Debug)]
pub struct IoApic<M> {
    registers: M,
    version: Version,
}

impl<M: Mmio> IoApic<M> {
    /// Takes the registers and reads the version.
    ///
    /// # Errors
    ///
    /// [`IoApicError::NotThere`].
    ///
    /// # Safety
    ///
    ///  - `registers` are those of an I/O APIC, at least 20 bytes from its base, mapped
    ///    uncacheable.
    ///  - Nothing else uses this I/O APIC as long as the value lives.
    ///  - The kernel has an interrupt gate for every vector that it programs through the value, and
    ///    an NMI entry before it unmasks an NMI.
    ///  - Interrupt remapping is off, or lets messages in compatibility format through.
    pub unsafe fn new(registers: M) -> Result<Self, IoApicError> {
        let mut io_apic = Self { registers, version: Version(0) };
        let version = io_apic.read(VERSION);
        if version == u32::MAX {
            return Err(IoApicError::NotThere);
        }
        io_apic.version = Version(version);
        Ok(io_apic)
    }

    /// The version register, as the driver read it when it was created.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The I/O APIC's ID, bits 27:24 of its register.
    #[must_use]
    pub fn id(&mut self) -> u8 {
        let [.., id] = self.read(ID).to_le_bytes();
        id & 0xF
    }

    /// Reads the entry of `pin`.
    ///
    /// # Errors
    ///
    /// [`IoApicError::NoSuchPin`].
    pub fn entry(&mut self, pin: u8) -> Result<Entry, IoApicError> {
        let (low, high) = self.entry_registers(pin)?;
        Ok(Entry { low: self.read(low), high: self.read(high) })
    }

    /// Sends what `pin` signals along `route`.
    ///
    /// The driver first masks the entry, then writes its upper half, then its lower half with the
    /// rest, so that no signal ever goes along half a route. It preserves reserved bits.
    ///
    /// # Errors
    ///
    /// [`IoApicError::NoSuchPin`], [`IoApicError::IdTooWide`]. The entry was not touched.
    pub fn set(&mut self, pin: u8, route: &Route, mask: Mask) -> Result<(), IoApicError> {
        let (low, high) = self.entry_registers(pin)?;
        let old = self.entry(pin)?;
        let new = old.routed(route)?;
        if old.mask() == Mask::Unmasked {
            self.write(low, old.masked(Mask::Masked).low);
        }
        self.write(high, new.high);
        self.write(low, new.low);
        if mask == Mask::Unmasked {
            self.write(low, new.masked(Mask::Unmasked).low);
        }
        Ok(())
    }

    /// Changes the mask bit of the entry of `pin` and leaves the rest, with one exception: it makes
    /// an NMI entry edge-triggered if firmware has left it otherwise.
    ///
    /// # Errors
    ///
    /// [`IoApicError::NoSuchPin`].
    pub fn set_mask(&mut self, pin: u8, mask: Mask) -> Result<(), IoApicError> {
        let (low, _) = self.entry_registers(pin)?;
        let entry = self.entry(pin)?;
        self.write(low, entry.masked(mask).low);
        Ok(())
    }

    /// The register numbers of the two halves of an entry.
    fn entry_registers(&self, pin: u8) -> Result<(u8, u8), IoApicError> {
        let max_pin = self.version.max_pin();
        let low = pin.checked_mul(2).and_then(|offset| offset.checked_add(FIRST_ENTRY));
        match low.and_then(|low| Some((low, low.checked_add(1)?))) {
            Some(registers) if pin <= max_pin => Ok(registers),
            _ => Err(IoApicError::NoSuchPin { pin, max_pin }),
        }
    }

    fn read(&mut self, register: u8) -> u32 {
        // SAFETY: selects a register; inside the registers by the contract of `new`.
        unsafe { self.registers.write(INDEX_OFFSET, u32::from(register)) };
        // SAFETY: inside the registers by the contract of `new`. Nothing has changed the index
        // since, as no other code uses this I/O APIC. No register has a read effect.
        unsafe { self.registers.read(WINDOW_OFFSET) }
    }

    fn write(&mut self, register: u8, value: u32) {
        // SAFETY: selects a register; inside the registers by the contract of `new`.
        unsafe { self.registers.write(INDEX_OFFSET, u32::from(register)) };
        // SAFETY: as for the window in `read`. What the write does is bounded by the typed methods
        // and by the contract of `new`.
        unsafe { self.registers.write(WINDOW_OFFSET, value) }
    }
}

/// The version register of an I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(u32);

impl Version {
    /// The version number: 11H for the 82093AA, 20H and up for those of later chipsets.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0 as u8
    }

    /// The number of the highest pin, counted from 0.
    #[must_use]
    pub const fn max_pin(self) -> u8 {
        (self.0 >> 16) as u8
    }
}

/// Why an I/O APIC entry was not touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IoApicError {
    /// The version register reads as all ones: there is no I/O APIC at this address.
    NotThere,
    /// The I/O APIC does not have the pin.
    NoSuchPin {
        /// The pin.
        pin: u8,
        /// The highest one that it claims to have.
        max_pin: u8,
    },
    /// The destination cannot be addressed.
    IdTooWide(IdTooWide),
}

impl fmt::Display for IoApicError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThere => {
                formatter.write_str("no I/O APIC: its version register reads as all ones")
            }
            Self::NoSuchPin { pin, max_pin } => {
                write!(formatter, "this I/O APIC has no pin {pin}; its last one is {max_pin}")
            }
            Self::IdTooWide(error) => error.fmt(formatter),
        }
    }
}

impl core::error::Error for IoApicError {}

impl From<IdTooWide> for IoApicError {
    fn from(error: IdTooWide) -> Self {
        Self::IdTooWide(error)
    }
}
