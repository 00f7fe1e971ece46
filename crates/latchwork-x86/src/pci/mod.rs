// SPDX-License-Identifier: MIT OR Apache-2.0
//! As much of PCI as it takes to make a device raise NMIs (PCI Local Bus Specification 3.0): find
//! it, read its base addresses, switch it on, and program its MSI capability.
//!
//! The driver reaches configuration space by mechanism #1, ports CF8H and CFCH: two accesses that
//! belong together. So every method takes `&mut self`, or the [`ConfigSpace`] by `&mut`, reads
//! included, and **none may be called in an NMI that could have interrupted another**. Nothing
//! locks, waits, allocates or panics, and any answer of a device gives a value or a [`PciError`].

#![deny(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod bar;
mod capability;
mod command;
mod error;
mod msi;
mod own;
mod scan;

use core::fmt;

pub use bar::Bar;
pub use capability::CapabilityId;
pub use command::Command;
pub use error::PciError;
pub use msi::Msi;
pub use scan::Functions;

use crate::hw::Port;

const ADDRESS_PORT: u16 = 0xCF8;
const DATA_PORT: u16 = 0xCFC;
const ENABLE: u32 = 1 << 31;

/// The address of one function of a device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    bus: u8,
    device: u8,
    function: u8,
}

impl Address {
    /// The function `function` of the device `device` on the bus `bus`; `None` if `device` is above
    /// 31 or `function` above 7.
    #[must_use]
    pub const fn new(bus: u8, device: u8, function: u8) -> Option<Self> {
        if device < 32 && function < 8 { Some(Self { bus, device, function }) } else { None }
    }

    /// The bus.
    #[must_use]
    pub const fn bus(self) -> u8 {
        self.bus
    }

    /// The device on its bus: 0 to 31.
    #[must_use]
    pub const fn device(self) -> u8 {
        self.device
    }

    /// The function of the device: 0 to 7.
    #[must_use]
    pub const fn function(self) -> u8 {
        self.function
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02x}:{:02x}.{}", self.bus, self.device, self.function)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Address({self})")
    }
}

/// Vendor and device ID of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Who made it.
    pub vendor: u16,
    /// What the maker calls it.
    pub device: u16,
}

/// The configuration space of all PCI devices, by mechanism #1.
#[derive(Debug)]
pub struct ConfigSpace<P> {
    port: P,
}

impl<P: Port> ConfigSpace<P> {
    /// Takes the two ports.
    ///
    /// # Safety
    ///
    ///  - `port` is that of a PC, which has configuration mechanism #1 at ports CF8H to CFFH.
    ///  - Nothing else uses these ports as long as the value lives.
    ///  - The kernel has an interrupt gate for everything that the messages it programs raise.
    pub const unsafe fn new(port: P) -> Self {
        Self { port }
    }

    /// Which function answers at `address`; `None` if none does.
    pub fn identity(&mut self, address: Address) -> Option<Identity> {
        let [v0, v1, d0, d1] = self.read(address, Register::IDENTITY).to_le_bytes();
        let vendor = u16::from_le_bytes([v0, v1]);
        (vendor != u16::MAX).then_some(Identity { vendor, device: u16::from_le_bytes([d0, d1]) })
    }

    fn read(&mut self, address: Address, register: Register) -> u32 {
        self.select(address, register);
        // SAFETY: the ports are those of mechanism #1, and nothing has selected another register
        // since (contract of `new`). The registers that this module reads have no read effect.
        unsafe { self.port.read_u32(DATA_PORT) }
    }

    fn write(&mut self, address: Address, register: Register, value: u32) {
        self.select(address, register);
        // SAFETY: as for `read`. What the write does is bounded by the methods of this module.
        unsafe { self.port.write_u32(DATA_PORT, value) }
    }

    fn select(&mut self, address: Address, register: Register) {
        let selection = ENABLE
            | u32::from(address.bus) << 16
            | u32::from(address.device) << 11
            | u32::from(address.function) << 8
            | u32::from(register.0);
        // SAFETY: the port is that of mechanism #1 (contract of `new`); a selection has no effect
        // by itself.
        unsafe { self.port.write_u32(ADDRESS_PORT, selection) }
    }
}

/// A 32-bit register of a function's configuration space, by its offset, a multiple of 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Register(u8);

impl Register {
    const IDENTITY: Self = Self(0x00);
    const COMMAND_AND_STATUS: Self = Self(0x04);
    const HEADER_TYPE: Self = Self(0x0C);
    const FIRST_BAR: Self = Self(0x10);
    const CAPABILITIES: Self = Self(0x34);

    /// The register that holds the byte at `offset`.
    const fn containing(offset: u8) -> Self {
        Self(offset & !3)
    }

    /// The register `bytes` bytes further on; `None` behind the end of the configuration space.
    const fn after(self, bytes: u8) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(offset) => Some(Self::containing(offset)),
            None => None,
        }
    }
}
