// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be wrong with firmware tables.

use core::fmt;

/// The four characters that name a table.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; 4]);

impl fmt::Display for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{self}\"")
    }
}

/// What is wrong with the firmware's tables, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcpiError {
    /// Physical memory that a table is said to occupy cannot be read.
    Unreadable {
        /// Physical address.
        address: u64,
        /// Length in bytes.
        bytes: usize,
    },
    /// There is no RSDP at this address: the signature is not `"RSD PTR "`.
    NotAnRsdp {
        /// Physical address.
        address: u64,
    },
    /// The bytes of the RSDP, or of its part that ACPI 1.0 defines, do not sum up to 0.
    RsdpChecksum {
        /// Number of bytes that were summed up.
        bytes: u32,
        /// The sum.
        sum: u8,
    },
    /// The RSDP declares a length that cannot be.
    RsdpLength {
        /// The declared length in bytes.
        bytes: u32,
    },
    /// The RSDP points to neither an RSDT nor an XSDT.
    NoRootTable,
    /// Another table than expected lies at this address.
    WrongSignature {
        /// Physical address.
        address: u64,
        /// The table that ought to be there.
        expected: Signature,
        /// What is there.
        found: Signature,
    },
    /// A table declares a length that is shorter than its fixed part, longer than any real table,
    /// or no whole number of entries.
    TableLength {
        /// The table.
        signature: Signature,
        /// The declared length in bytes.
        bytes: u32,
    },
    /// The bytes of a table do not sum up to 0.
    TableChecksum {
        /// The table.
        signature: Signature,
        /// The sum.
        sum: u8,
    },
    /// The root table lists no table of this name.
    NotFound {
        /// The table.
        signature: Signature,
    },
    /// An entry of the MADT declares a length that is too short for its type.
    EntryLength {
        /// The entry's type.
        kind: u8,
        /// Its offset in the MADT, in bytes.
        offset: u32,
        /// The declared length in bytes.
        bytes: u8,
        /// The shortest possible length in bytes.
        minimum_bytes: u8,
    },
    /// An entry of the MADT reaches beyond the table's end.
    EntryTruncated {
        /// Its offset in the MADT, in bytes.
        offset: u32,
        /// How many bytes are left in the table.
        left_bytes: u32,
    },
    /// The registers that a table describes are not in memory, at address 0, or not aligned.
    RegisterAddress {
        /// The table.
        signature: Signature,
        /// The address space, 0 for memory.
        space: u8,
        /// The address.
        address: u64,
    },
}

impl fmt::Display for AcpiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Unreadable { address, bytes } => {
                write!(formatter, "{bytes} bytes at physical address {address:#x} cannot be read")
            }
            Self::NotAnRsdp { address } => {
                write!(formatter, "no RSDP signature at physical address {address:#x}")
            }
            Self::RsdpChecksum { bytes, sum } => {
                write!(formatter, "RSDP checksum over {bytes} bytes is {sum:#04x}, not 0")
            }
            Self::RsdpLength { bytes } => {
                write!(formatter, "RSDP declares an impossible length of {bytes} bytes")
            }
            Self::NoRootTable => formatter.write_str("RSDP points to neither RSDT nor XSDT"),
            Self::WrongSignature { address, expected, found } => write!(
                formatter,
                "expected table {expected} at physical address {address:#x}, found {found}"
            ),
            Self::TableLength { signature, bytes } => {
                write!(
                    formatter,
                    "table {signature} declares an impossible length of {bytes} bytes"
                )
            }
            Self::TableChecksum { signature, sum } => {
                write!(formatter, "checksum of table {signature} is {sum:#04x}, not 0")
            }
            Self::NotFound { signature } => write!(formatter, "no table {signature}"),
            Self::EntryLength { kind, offset, bytes, minimum_bytes } => write!(
                formatter,
                "MADT entry of type {kind} at offset {offset} declares {bytes} bytes, but has at \
                 least {minimum_bytes}"
            ),
            Self::EntryTruncated { offset, left_bytes } => write!(
                formatter,
                "MADT entry at offset {offset} reaches beyond the table, which has {left_bytes} \
                 bytes left"
            ),
            Self::RegisterAddress { signature, space, address } => write!(
                formatter,
                "table {signature} puts registers at {address:#x} in address space {space}, where \
                 they cannot be"
            ),
        }
    }
}

impl core::error::Error for AcpiError {}
