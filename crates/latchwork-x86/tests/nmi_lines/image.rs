// SPDX-License-Identifier: MIT OR Apache-2.0
//! A MADT in memory, built by hand from the ACPI Specification 6.5, section 5.2.12.

use latchwork_x86::hw::{PhysicalMemory, Unreadable};

/// Physical memory that has nothing but a MADT, at address 0.
pub(crate) struct Image(pub(crate) Vec<u8>);

impl Image {
    pub(crate) fn of(entries: &[&[u8]]) -> Self {
        let entries = entries.concat();
        let length = u32::try_from(44 + entries.len()).unwrap();
        let mut table = [b"APIC".as_slice(), &length.to_le_bytes(), &[0; 36], &entries].concat();
        let sum = table.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        table[9] = 0u8.wrapping_sub(sum);
        Self(table)
    }
}

impl PhysicalMemory for Image {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let start = usize::try_from(address).map_err(|_| Unreadable)?;
        let end = start.checked_add(buffer.len()).ok_or(Unreadable)?;
        buffer.copy_from_slice(self.0.get(start..end).ok_or(Unreadable)?);
        Ok(())
    }
}
