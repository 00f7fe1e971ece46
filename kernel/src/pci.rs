// SPDX-License-Identifier: MIT OR Apache-2.0
//! PCI devices, as this kernel finds them and reaches their registers. Boot CPU, ordinary context:
//! the driver reaches configuration space through two ports that belong together, and nothing here
//! locks them.

use core::fmt;
use core::ptr::{self, NonNull};

use latchwork_x86::hw::CpuPort;
use latchwork_x86::pci::{Address, Bar, ConfigSpace, Identity, PciError};

use crate::mmio::UNCACHED;

/// Configuration space. The caller drops it before somebody else calls this.
pub(crate) fn config_space() -> ConfigSpace<CpuPort> {
    // SAFETY: the kernel runs at privilege level 0.
    let ports = unsafe { CpuPort::new() };
    // SAFETY: this kernel runs on PCs; only the boot CPU comes here, one caller after the other;
    // and messages are programmed as NMIs or with a vector of `trap::Vector`, which all have gates.
    unsafe { ConfigSpace::new(ports) }
}

/// Why a device cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceError {
    /// The machine has none.
    Missing(Identity),
    /// The device is not as it ought to be.
    Pci(PciError),
    /// The registers are in I/O space.
    NotInMemory(Address),
    /// The firmware has assigned no address to the registers, or one that this kernel does not map
    /// uncached.
    Unreachable {
        /// The device.
        device: Address,
        /// Where its registers are; 0 if nowhere.
        registers: u64,
    },
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Missing(Identity { vendor, device }) => {
                write!(f, "the machine has no PCI device {vendor:04x}:{device:04x}")
            }
            Self::Pci(error) => error.fmt(f),
            Self::NotInMemory(device) => {
                write!(f, "the registers of PCI device {device} are not in memory")
            }
            Self::Unreachable { device, registers: 0 } => {
                write!(f, "the firmware has assigned no address to PCI device {device}")
            }
            Self::Unreachable { device, registers } => write!(
                f,
                "the registers of PCI device {device} are at {registers:#x}, and not between 3 and \
                 4 GiB, where this kernel \
                 maps registers"
            ),
        }
    }
}

impl core::error::Error for DeviceError {}

impl From<PciError> for DeviceError {
    fn from(error: PciError) -> Self {
        Self::Pci(error)
    }
}

/// Finds the first device that is called `identity`.
pub(crate) fn find(
    space: &mut ConfigSpace<CpuPort>,
    identity: Identity,
) -> Result<Address, DeviceError> {
    space.find(identity).ok_or(DeviceError::Missing(identity))
}

/// Where the first `bytes` bytes behind base address register 0 can be accessed, on every CPU, once
/// the device answers in memory: identity-mapped and uncached.
///
/// This kernel takes the address that the firmware has assigned. It assigns none itself, since it
/// does not know what else is there.
pub(crate) fn registers(
    space: &mut ConfigSpace<CpuPort>,
    device: Address,
    bytes: u64,
) -> Result<NonNull<u32>, DeviceError> {
    let Bar::Memory { address: registers, .. } = space.bar(device, 0)? else {
        return Err(DeviceError::NotInMemory(device));
    };
    let reachable = UNCACHED.start..=UNCACHED.end - bytes;
    match NonNull::new(ptr::with_exposed_provenance_mut(registers as usize)) {
        Some(address) if reachable.contains(&registers) => Ok(address),
        _ => Err(DeviceError::Unreachable { device, registers }),
    }
}
