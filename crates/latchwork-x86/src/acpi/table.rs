// SPDX-License-Identifier: MIT OR Apache-2.0
//! System description tables (ACPI Specification 6.5, sections 5.2.6 to 5.2.8).

use super::error::{AcpiError, Signature};
use super::rsdp::{RootTable, Rsdp};
use crate::hw::PhysicalMemory;

/// The greatest length that this module accepts. Real tables stay far below it.
pub const MAX_TABLE_BYTES: u32 = 16 << 20;

const HEADER_BYTES: u32 = 36;

/// A table whose length and checksum are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    signature: Signature,
    address: u64,
    bytes: u32,
}

impl Table {
    /// Searches the root table for the first table called `signature`.
    ///
    /// The search passes over entries of the root table that lead nowhere, so they do not hide a
    /// table that is there.
    ///
    /// # Errors
    ///
    /// [`AcpiError`]: the root table or the table found is bad, or there is none.
    pub fn find(
        memory: &impl PhysicalMemory,
        rsdp: &Rsdp,
        signature: Signature,
    ) -> Result<Self, AcpiError> {
        let (root, pointer_bytes) = match rsdp.root() {
            RootTable::Rsdt(address) => (Self::check(memory, address, Signature(*b"RSDT"))?, 4),
            RootTable::Xsdt(address) => (Self::check(memory, address, Signature(*b"XSDT"))?, 8),
        };
        let pointers = root.bytes.saturating_sub(HEADER_BYTES);
        if pointers.checked_rem(pointer_bytes) != Some(0) {
            return Err(AcpiError::TableLength { signature: root.signature, bytes: root.bytes });
        }
        for offset in (HEADER_BYTES..root.bytes).step_by(pointer_bytes as usize) {
            let address = if pointer_bytes == 8 {
                u64::from_le_bytes(root.read(memory, offset)?)
            } else {
                u64::from(u32::from_le_bytes(root.read(memory, offset)?))
            };
            if read::<4>(memory, address, 0) == Ok(signature.0) {
                return Self::check(memory, address, signature);
            }
        }
        Err(AcpiError::NotFound { signature })
    }

    /// Checks the table `signature` at physical address `address`.
    ///
    /// # Errors
    ///
    /// [`AcpiError`]: unreadable, another table, or a wrong length or checksum.
    pub fn check(
        memory: &impl PhysicalMemory,
        address: u64,
        signature: Signature,
    ) -> Result<Self, AcpiError> {
        let found = Signature(read(memory, address, 0)?);
        if found != signature {
            return Err(AcpiError::WrongSignature { address, expected: signature, found });
        }
        let bytes = u32::from_le_bytes(read(memory, address, 4)?);
        if !(HEADER_BYTES..=MAX_TABLE_BYTES).contains(&bytes) {
            return Err(AcpiError::TableLength { signature, bytes });
        }
        match sum(memory, address, bytes)? {
            0 => Ok(Self { signature, address, bytes }),
            sum => Err(AcpiError::TableChecksum { signature, sum }),
        }
    }

    /// The table's name.
    #[must_use]
    pub const fn signature(&self) -> Signature {
        self.signature
    }

    /// The table's physical address.
    #[must_use]
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// The table's length in bytes, its header included.
    #[must_use]
    pub const fn bytes(&self) -> u32 {
        self.bytes
    }

    /// Reads `BYTES` bytes at `offset` in the table.
    ///
    /// # Errors
    ///
    /// [`AcpiError::Unreadable`] if they are not all inside the table, or cannot be read.
    pub fn read<const BYTES: usize>(
        &self,
        memory: &impl PhysicalMemory,
        offset: u32,
    ) -> Result<[u8; BYTES], AcpiError> {
        let mut buffer = [0; BYTES];
        self.read_into(memory, offset, &mut buffer)?;
        Ok(buffer)
    }

    /// Fills `buffer` with what is at `offset` in the table.
    pub(super) fn read_into(
        &self,
        memory: &impl PhysicalMemory,
        offset: u32,
        buffer: &mut [u8],
    ) -> Result<(), AcpiError> {
        let end = u64::from(offset).checked_add(buffer.len() as u64);
        if end.is_some_and(|end| end <= u64::from(self.bytes)) {
            read_into(memory, self.address, offset, buffer)
        } else {
            Err(unreadable(self.address, offset, buffer.len()))
        }
    }
}

/// Reads `BYTES` bytes at `offset` from `address`.
pub(super) fn read<const BYTES: usize>(
    memory: &impl PhysicalMemory,
    address: u64,
    offset: u32,
) -> Result<[u8; BYTES], AcpiError> {
    let mut buffer = [0; BYTES];
    read_into(memory, address, offset, &mut buffer)?;
    Ok(buffer)
}

fn read_into(
    memory: &impl PhysicalMemory,
    address: u64,
    offset: u32,
    buffer: &mut [u8],
) -> Result<(), AcpiError> {
    let start = address.checked_add(u64::from(offset));
    match start.map(|start| memory.read(start, buffer)) {
        Some(Ok(())) => Ok(()),
        _ => Err(unreadable(address, offset, buffer.len())),
    }
}

/// The sum of `bytes` bytes at `address`, which is 0 for a good table.
pub(super) fn sum(memory: &impl PhysicalMemory, address: u64, bytes: u32) -> Result<u8, AcpiError> {
    const CHUNK: usize = 64;
    let mut total = 0u8;
    for offset in (0..bytes).step_by(CHUNK) {
        let mut buffer = [0; CHUNK];
        let left = bytes.saturating_sub(offset) as usize;
        let chunk = buffer.get_mut(..left.min(CHUNK)).unwrap_or_default();
        read_into(memory, address, offset, chunk)?;
        total = buffer.iter().fold(total, |total, byte| total.wrapping_add(*byte));
    }
    Ok(total)
}

fn unreadable(address: u64, offset: u32, bytes: usize) -> AcpiError {
    AcpiError::Unreadable { address: address.saturating_add(u64::from(offset)), bytes }
}
