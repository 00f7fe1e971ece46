// SPDX-License-Identifier: MIT OR Apache-2.0
//! The multiple APIC description table (ACPI Specification 6.5, section 5.2.12).

use super::error::{AcpiError, Signature};
use super::madt_entry::{MAX_KNOWN_ENTRY_BYTES, MadtEntry};
use super::rsdp::Rsdp;
use super::table::Table;
use crate::hw::PhysicalMemory;

const SIGNATURE: Signature = Signature(*b"APIC");
const LOCAL_APIC_ADDRESS: u32 = 36;
const FIRST_ENTRY: u32 = 44;
const ENTRY_HEADER_BYTES: u8 = 2;

/// The table that lists CPUs, I/O APICs and the wiring of NMI lines.
#[derive(Debug)]
pub struct Madt<'m, M> {
    memory: &'m M,
    table: Table,
}

impl<'m, M: PhysicalMemory> Madt<'m, M> {
    /// Finds the MADT and checks its length and checksum. The iterators check its entries as they
    /// read them.
    ///
    /// # Errors
    ///
    /// As [`Table::find`].
    pub fn find(memory: &'m M, rsdp: &Rsdp) -> Result<Self, AcpiError> {
        Self::from_table(memory, Table::find(memory, rsdp, SIGNATURE)?)
    }

    /// Takes the MADT at physical address `address`, for a kernel that finds tables itself.
    ///
    /// # Errors
    ///
    /// As [`Table::check`].
    pub fn at(memory: &'m M, address: u64) -> Result<Self, AcpiError> {
        Self::from_table(memory, Table::check(memory, address, SIGNATURE)?)
    }

    fn from_table(memory: &'m M, table: Table) -> Result<Self, AcpiError> {
        if table.bytes() < FIRST_ENTRY {
            return Err(AcpiError::TableLength { signature: SIGNATURE, bytes: table.bytes() });
        }
        Ok(Self { memory, table })
    }

    /// The physical address of the local APIC's register page: the 64-bit override if there is one,
    /// else the table's own field.
    ///
    /// # Errors
    ///
    /// [`AcpiError`]: the table cannot be read, or an entry is malformed.
    pub fn local_apic_address(&self) -> Result<u64, AcpiError> {
        for entry in self.entries() {
            if let MadtEntry::LocalApicAddress { address } = entry? {
                return Ok(address);
            }
        }
        let address = self.table.read(self.memory, LOCAL_APIC_ADDRESS)?;
        Ok(u64::from(u32::from_le_bytes(address)))
    }

    /// All entries in the table's order. The first malformed one ends the iteration, since nothing
    /// behind it can be trusted.
    pub fn entries(&self) -> Entries<'m, M> {
        Entries { memory: self.memory, table: self.table, offset: FIRST_ENTRY }
    }
}

/// Iterator over the entries of a MADT.
#[derive(Debug)]
pub struct Entries<'m, M> {
    memory: &'m M,
    table: Table,
    offset: u32,
}

impl<M: PhysicalMemory> Iterator for Entries<'_, M> {
    type Item = Result<MadtEntry, AcpiError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset >= self.table.bytes() {
            return None;
        }
        match self.read_entry() {
            Ok((entry, next_offset)) => {
                self.offset = next_offset;
                Some(Ok(entry))
            }
            Err(error) => {
                self.offset = self.table.bytes();
                Some(Err(error))
            }
        }
    }
}

impl<M: PhysicalMemory> core::iter::FusedIterator for Entries<'_, M> {}

impl<'m, M: PhysicalMemory> Entries<'m, M> {
    /// Where the next entry is.
    pub(super) const fn offset(&self) -> u32 {
        self.offset
    }

    /// An iterator over all entries of the same table.
    pub(super) const fn restarted(&self) -> Self {
        Entries { memory: self.memory, table: self.table, offset: FIRST_ENTRY }
    }

    fn read_entry(&self) -> Result<(MadtEntry, u32), AcpiError> {
        let offset = self.offset;
        let left_bytes = self.table.bytes().saturating_sub(offset);
        let truncated = AcpiError::EntryTruncated { offset, left_bytes };
        if left_bytes < u32::from(ENTRY_HEADER_BYTES) {
            return Err(truncated);
        }
        let [kind, bytes] = self.table.read(self.memory, offset)?;
        let minimum_bytes = MadtEntry::minimum_bytes(kind).unwrap_or(ENTRY_HEADER_BYTES);
        if bytes < minimum_bytes {
            return Err(AcpiError::EntryLength { kind, offset, bytes, minimum_bytes });
        }
        if u32::from(bytes) > left_bytes {
            return Err(truncated);
        }
        let mut body = [0; MAX_KNOWN_ENTRY_BYTES];
        let known_bytes = usize::from(bytes).min(MAX_KNOWN_ENTRY_BYTES);
        if let Some(known) = body.get_mut(..known_bytes) {
            self.table.read_into(self.memory, offset, known)?;
        }
        let entry = MadtEntry::decode(kind, bytes, offset, &body);
        Ok((entry, offset.saturating_add(u32::from(bytes))))
    }
}
