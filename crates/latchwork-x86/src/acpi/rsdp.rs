// SPDX-License-Identifier: MIT OR Apache-2.0
//! The root system description pointer (ACPI Specification 6.5, section 5.2.5).

use super::error::AcpiError;
use super::table::{read, sum};
use crate::hw::PhysicalMemory;

const V1_BYTES: u32 = 20;
const V2_BYTES: u32 = 36;
/// The RSDP has been 36 bytes long since ACPI 2.0. This limit leaves room to grow, and bounds the
/// work where the length is nonsense.
const MAX_BYTES: u32 = 4096;

/// Where the root system description pointer leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rsdp {
    revision: u8,
    root: RootTable,
}

/// The table that lists the other tables, by its physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootTable {
    /// RSDT, with 32-bit addresses.
    Rsdt(u64),
    /// XSDT, with 64-bit addresses.
    Xsdt(u64),
}

impl Rsdp {
    /// Reads and checks the RSDP at physical address `address`, which the boot protocol gives.
    ///
    /// # Errors
    ///
    /// [`AcpiError`]: unreadable, no signature, a wrong checksum or length, or no root table.
    pub fn read(memory: &impl PhysicalMemory, address: u64) -> Result<Self, AcpiError> {
        let [s0, s1, s2, s3, s4, s5, s6, s7] = read::<8>(memory, address, 0)?;
        if [s0, s1, s2, s3, s4, s5, s6, s7] != *b"RSD PTR " {
            return Err(AcpiError::NotAnRsdp { address });
        }
        check_sum(memory, address, V1_BYTES)?;
        let [revision] = read::<1>(memory, address, 15)?;
        let rsdt = u64::from(u32::from_le_bytes(read(memory, address, 16)?));
        let xsdt = if revision >= 2 {
            let bytes = u32::from_le_bytes(read(memory, address, 20)?);
            if !(V2_BYTES..=MAX_BYTES).contains(&bytes) {
                return Err(AcpiError::RsdpLength { bytes });
            }
            check_sum(memory, address, bytes)?;
            u64::from_le_bytes(read(memory, address, 24)?)
        } else {
            0
        };
        let root = match (xsdt, rsdt) {
            (0, 0) => return Err(AcpiError::NoRootTable),
            (0, rsdt) => RootTable::Rsdt(rsdt),
            (xsdt, _) => RootTable::Xsdt(xsdt),
        };
        Ok(Self { revision, root })
    }

    /// 0 for ACPI 1.0, 2 for every later version.
    #[must_use]
    pub const fn revision(&self) -> u8 {
        self.revision
    }

    /// The table to search: the XSDT if there is one.
    #[must_use]
    pub const fn root(&self) -> RootTable {
        self.root
    }
}

fn check_sum(memory: &impl PhysicalMemory, address: u64, bytes: u32) -> Result<(), AcpiError> {
    match sum(memory, address, bytes)? {
        0 => Ok(()),
        sum => Err(AcpiError::RsdpChecksum { bytes, sum }),
    }
}
