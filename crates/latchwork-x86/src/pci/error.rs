// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a PCI device cannot do, or gets wrong.

use core::fmt;

use super::{Address, CapabilityId};

/// Why a PCI device was not used as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PciError {
    /// Nobody answers at the address.
    NoDevice(Address),
    /// The header of the function has no base address register of this number.
    NoSuchBar {
        /// The function.
        address: Address,
        /// The number of the register.
        index: u8,
    },
    /// The base address register is the upper half of the one before it.
    UpperHalfOfBar {
        /// The function.
        address: Address,
        /// The number of the register.
        index: u8,
    },
    /// The base address register has a reserved type, or is the last one and claims to have an
    /// upper half.
    BadBar {
        /// The function.
        address: Address,
        /// The number of the register.
        index: u8,
        /// The register.
        bits: u32,
    },
    /// The function has no such capability.
    NoCapability {
        /// The function.
        address: Address,
        /// The capability.
        id: CapabilityId,
    },
    /// The list of capabilities leads into the header, where no capability can be.
    CapabilityPointer {
        /// The function.
        address: Address,
        /// The offset to which it leads.
        offset: u8,
    },
    /// The list of capabilities comes back to itself.
    CapabilityLoop {
        /// The function.
        address: Address,
        /// The offset to which it leads for the second time.
        offset: u8,
    },
    /// The capability does not fit into the configuration space.
    CapabilityTruncated {
        /// The function.
        address: Address,
        /// The offset of the capability.
        offset: u8,
    },
    /// Registers of this width that a device defines itself do not lie at this offset: it is below
    /// 40H, or no multiple of the width.
    NotOwnRegister {
        /// The function.
        address: Address,
        /// The offset.
        offset: u8,
        /// The width in bytes.
        bytes: u8,
    },
    /// The function cannot mask its message.
    NoMask(Address),
}

impl fmt::Display for PciError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoDevice(address) => write!(formatter, "no PCI device answers at {address}"),
            Self::NoSuchBar { address, index } => {
                write!(formatter, "PCI device {address} has no base address register {index}")
            }
            Self::UpperHalfOfBar { address, index } => write!(
                formatter,
                "base address register {index} of PCI device {address} is the upper half of \
                 another"
            ),
            Self::BadBar { address, index, bits } => write!(
                formatter,
                "base address register {index} of PCI device {address} is {bits:#010x}, a type \
                 that does not exist"
            ),
            Self::NoCapability { address, id } => {
                write!(formatter, "PCI device {address} has no capability {:#04x}", id.0)
            }
            Self::CapabilityPointer { address, offset } => write!(
                formatter,
                "capability list of PCI device {address} leads to {offset:#04x}, into the header"
            ),
            Self::CapabilityLoop { address, offset } => write!(
                formatter,
                "capability list of PCI device {address} comes back to {offset:#04x}"
            ),
            Self::CapabilityTruncated { address, offset } => write!(
                formatter,
                "capability at {offset:#04x} of PCI device {address} does not fit into its \
                 configuration space"
            ),
            Self::NotOwnRegister { address, offset, bytes } => write!(
                formatter,
                "PCI device {address} has no {bytes}-byte register of its own at {offset:#04x}"
            ),
            Self::NoMask(address) => {
                write!(formatter, "PCI device {address} cannot mask its message")
            }
        }
    }
}

impl core::error::Error for PciError {}
