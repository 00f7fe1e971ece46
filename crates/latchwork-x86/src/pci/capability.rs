// SPDX-License-Identifier: MIT OR Apache-2.0
//! The list of capabilities (PCI Local Bus Specification 3.0, 6.7).

use super::{Address, ConfigSpace, PciError, Register};
use crate::hw::Port;

const HAS_CAPABILITIES: u32 = 1 << 20;
const FIRST_OFFSET: u8 = 0x40;

/// What kind of capability it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CapabilityId(pub u8);

impl CapabilityId {
    /// Message signalled interrupts.
    pub const MSI: Self = Self(0x05);
}

impl<P: Port> ConfigSpace<P> {
    /// The offset of the first capability `id` of the function at `address`: a multiple of 4, at
    /// least 40H.
    ///
    /// The list has at most 48 entries, and the driver visits each once.
    ///
    /// # Errors
    ///
    /// [`PciError::NoDevice`], [`PciError::NoCapability`], [`PciError::CapabilityPointer`],
    /// [`PciError::CapabilityLoop`].
    pub fn capability(&mut self, address: Address, id: CapabilityId) -> Result<u8, PciError> {
        self.identity(address).ok_or(PciError::NoDevice(address))?;
        if self.read(address, Register::COMMAND_AND_STATUS) & HAS_CAPABILITIES == 0 {
            return Err(PciError::NoCapability { address, id });
        }
        let [mut next, ..] = self.read(address, Register::CAPABILITIES).to_le_bytes();
        let mut visited = 0u64;
        loop {
            // The two lowest bits are reserved.
            let register = Register::containing(next);
            let offset = register.0;
            if offset == 0 {
                return Err(PciError::NoCapability { address, id });
            }
            if offset < FIRST_OFFSET {
                return Err(PciError::CapabilityPointer { address, offset });
            }
            let bit = 1u64.checked_shl(u32::from(offset >> 2)).unwrap_or(0);
            if visited & bit != 0 {
                return Err(PciError::CapabilityLoop { address, offset });
            }
            visited |= bit;
            let [found, following, ..] = self.read(address, register).to_le_bytes();
            if found == id.0 {
                return Ok(offset);
            }
            next = following;
        }
    }
}
