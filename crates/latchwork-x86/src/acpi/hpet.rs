// SPDX-License-Identifier: MIT OR Apache-2.0
//! The HPET description table (IA-PC HPET Specification 1.0a, section 3.2.4).

use super::error::{AcpiError, Signature};
use super::rsdp::Rsdp;
use super::table::Table;
use crate::hw::PhysicalMemory;

const SIGNATURE: Signature = Signature(*b"HPET");
const BYTES: u32 = 56;
const ADDRESS_SPACE: u32 = 40;
const ADDRESS: u32 = 44;
const NUMBER: u32 = 52;
const MINIMUM_TICKS: u32 = 53;
const MEMORY: u8 = 0;

/// The table that says where an HPET is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HpetTable {
    address: u64,
    number: u8,
    minimum_ticks: u16,
}

impl HpetTable {
    /// Finds the table of the first HPET and checks it.
    ///
    /// # Errors
    ///
    /// As [`Table::find`] and [`HpetTable::at`].
    pub fn find(memory: &impl PhysicalMemory, rsdp: &Rsdp) -> Result<Self, AcpiError> {
        Self::from_table(memory, Table::find(memory, rsdp, SIGNATURE)?)
    }

    /// Takes the table at physical address `address`, for a kernel that finds tables itself.
    ///
    /// # Errors
    ///
    /// As [`Table::check`]; [`AcpiError::TableLength`] if the table is too short;
    /// [`AcpiError::RegisterAddress`] if the registers are not in memory, are at address 0, or are
    /// not aligned to 4 bytes.
    pub fn at(memory: &impl PhysicalMemory, address: u64) -> Result<Self, AcpiError> {
        Self::from_table(memory, Table::check(memory, address, SIGNATURE)?)
    }

    fn from_table(memory: &impl PhysicalMemory, table: Table) -> Result<Self, AcpiError> {
        if table.bytes() < BYTES {
            return Err(AcpiError::TableLength { signature: SIGNATURE, bytes: table.bytes() });
        }
        let [space] = table.read(memory, ADDRESS_SPACE)?;
        let address = u64::from_le_bytes(table.read(memory, ADDRESS)?);
        if space != MEMORY || address == 0 || address & 3 != 0 {
            return Err(AcpiError::RegisterAddress { signature: SIGNATURE, space, address });
        }
        let [number] = table.read(memory, NUMBER)?;
        let minimum_ticks = u16::from_le_bytes(table.read(memory, MINIMUM_TICKS)?);
        Ok(Self { address, number, minimum_ticks })
    }

    /// The physical address of the HPET's registers, a multiple of 4.
    #[must_use]
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// The number of this HPET, 0 for the first.
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.number
    }

    /// The shortest period in ticks that can be set without losing interrupts, as the firmware
    /// believes.
    #[must_use]
    pub const fn minimum_ticks(&self) -> u16 {
        self.minimum_ticks
    }
}
