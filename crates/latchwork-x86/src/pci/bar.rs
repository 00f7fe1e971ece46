// SPDX-License-Identifier: MIT OR Apache-2.0
//! Base address registers (PCI Local Bus Specification 3.0, 6.2.5.1).

use super::{Address, ConfigSpace, PciError, Register};
use crate::hw::Port;

const IS_IO: u32 = 1 << 0;
const MEMORY_TYPE: u32 = 0b11 << 1;
const MEMORY_32_BIT: u32 = 0b00 << 1;
const MEMORY_BELOW_1_MIB: u32 = 0b01 << 1;
const MEMORY_64_BIT: u32 = 0b10 << 1;
const PREFETCHABLE: u32 = 1 << 3;
const IO_ADDRESS: u32 = !0b11;
const MEMORY_ADDRESS: u32 = !0b1111;

/// Where one block of a device's registers or memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// In I/O space.
    Io {
        /// The first port.
        port: u32,
    },
    /// In memory.
    Memory {
        /// The physical address. 0 if neither firmware nor kernel has assigned one, or if the
        /// device does not implement the register.
        address: u64,
        /// Whether reading has no side effect.
        prefetchable: bool,
    },
}

impl<P: Port> ConfigSpace<P> {
    /// Reads the base address register `index` of the function at `address`. The upper half of a
    /// 64-bit address has a number of its own, and belongs to the one before it.
    ///
    /// # Errors
    ///
    /// [`PciError::NoDevice`], [`PciError::NoSuchBar`], [`PciError::UpperHalfOfBar`],
    /// [`PciError::BadBar`].
    pub fn bar(&mut self, address: Address, index: u8) -> Result<Bar, PciError> {
        self.identity(address).ok_or(PciError::NoDevice(address))?;
        let count = self.bar_count(address);
        if index >= count {
            return Err(PciError::NoSuchBar { address, index });
        }
        let mut current = 0u8;
        let bits = loop {
            let bits = self.read(address, register(current));
            if current == index {
                break bits;
            }
            current = current.saturating_add(if is_64_bit(bits) { 2 } else { 1 });
            if current > index {
                return Err(PciError::UpperHalfOfBar { address, index });
            }
        };
        let bad = PciError::BadBar { address, index, bits };
        if bits & IS_IO != 0 {
            return Ok(Bar::Io { port: bits & IO_ADDRESS });
        }
        let low = u64::from(bits & MEMORY_ADDRESS);
        let full = match bits & MEMORY_TYPE {
            MEMORY_32_BIT | MEMORY_BELOW_1_MIB => low,
            MEMORY_64_BIT => {
                let upper = index.checked_add(1).filter(|upper| *upper < count).ok_or(bad)?;
                u64::from(self.read(address, register(upper))) << 32 | low
            }
            _ => return Err(bad),
        };
        Ok(Bar::Memory { address: full, prefetchable: bits & PREFETCHABLE != 0 })
    }

    /// How many base address registers the layout of the function's header has.
    fn bar_count(&mut self, address: Address) -> u8 {
        let [_, _, header_type, _] = self.read(address, Register::HEADER_TYPE).to_le_bytes();
        match header_type & 0x7F {
            0 => 6,
            1 => 2,
            _ => 0,
        }
    }
}

fn register(index: u8) -> Register {
    Register::containing(Register::FIRST_BAR.0.saturating_add(index.saturating_mul(4)))
}

const fn is_64_bit(bits: u32) -> bool {
    bits & IS_IO == 0 && bits & MEMORY_TYPE == MEMORY_64_BIT
}
