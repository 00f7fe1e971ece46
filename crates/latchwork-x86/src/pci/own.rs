// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registers that a device defines itself, behind the header (PCI Local Bus Specification 3.0,
//! 6.1).
//!
//! The driver accesses them by the width that the device gives them. The byte enables show the
//! device which bytes are meant (3.2.2.3.2), and some devices do nothing on an access of another
//! width.

use super::{Address, ConfigSpace, DATA_PORT, PciError, Register};
use crate::hw::Port;

const FIRST_OFFSET: u8 = 0x40;

impl<P: Port> ConfigSpace<P> {
    /// Reads the 8-bit register at `offset` of the function at `address`.
    ///
    /// # Errors
    ///
    /// [`PciError::NoDevice`], [`PciError::NotOwnRegister`].
    ///
    /// # Safety
    ///
    /// The caller knows the device, and answers for what the access makes it do.
    pub unsafe fn own_u8(&mut self, address: Address, offset: u8) -> Result<u8, PciError> {
        let port = self.select_own(address, offset, 1)?;
        // SAFETY: the port is one of mechanism #1's data ports, and the register is selected; the
        // effect on the device is the caller's.
        Ok(unsafe { self.port.read_u8(port) })
    }

    /// Reads the 16-bit register at `offset`, an even number, of the function at `address`.
    ///
    /// # Errors
    ///
    /// As [`own_u8`](Self::own_u8).
    ///
    /// # Safety
    ///
    /// As [`own_u8`](Self::own_u8).
    pub unsafe fn own_u16(&mut self, address: Address, offset: u8) -> Result<u16, PciError> {
        let port = self.select_own(address, offset, 2)?;
        // SAFETY: as for `own_u8`.
        Ok(unsafe { self.port.read_u16(port) })
    }

    /// Writes the 8-bit register at `offset` of the function at `address`.
    ///
    /// # Errors
    ///
    /// As [`own_u8`](Self::own_u8). Nothing was written then.
    ///
    /// # Safety
    ///
    /// As [`own_u8`](Self::own_u8).
    pub unsafe fn set_own_u8(
        &mut self,
        address: Address,
        offset: u8,
        value: u8,
    ) -> Result<(), PciError> {
        let port = self.select_own(address, offset, 1)?;
        // SAFETY: as for `own_u8`.
        unsafe { self.port.write_u8(port, value) };
        Ok(())
    }

    /// Writes the 16-bit register at `offset`, an even number, of the function at `address`.
    ///
    /// # Errors
    ///
    /// As [`own_u8`](Self::own_u8). Nothing was written then.
    ///
    /// # Safety
    ///
    /// As [`own_u8`](Self::own_u8).
    pub unsafe fn set_own_u16(
        &mut self,
        address: Address,
        offset: u8,
        value: u16,
    ) -> Result<(), PciError> {
        let port = self.select_own(address, offset, 2)?;
        // SAFETY: as for `own_u8`.
        unsafe { self.port.write_u16(port, value) };
        Ok(())
    }

    /// Selects the register and gives the data port of its first byte.
    fn select_own(&mut self, address: Address, offset: u8, bytes: u8) -> Result<u16, PciError> {
        self.identity(address).ok_or(PciError::NoDevice(address))?;
        if offset < FIRST_OFFSET || offset.checked_rem(bytes) != Some(0) {
            return Err(PciError::NotOwnRegister { address, offset, bytes });
        }
        self.select(address, Register::containing(offset));
        Ok(DATA_PORT | u16::from(offset & 3))
    }
}
