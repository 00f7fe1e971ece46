// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command register (PCI Local Bus Specification 3.0, 6.2.2).

use core::ops::BitOr;

use super::{Address, ConfigSpace, PciError, Register};
use crate::hw::Port;

/// What a function is allowed to do: bits of its command register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command(u16);

impl Command {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// It answers in I/O space.
    pub const IO: Self = Self(1 << 0);
    /// It answers in memory space.
    pub const MEMORY: Self = Self(1 << 1);
    /// It may write to memory by itself, messages included.
    pub const BUS_MASTER: Self = Self(1 << 2);
    /// It does not use its interrupt line.
    pub const INTERRUPT_LINE_DISABLED: Self = Self(1 << 10);

    /// The register.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Command {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl<P: Port> ConfigSpace<P> {
    /// The command register of the function at `address`.
    ///
    /// # Errors
    ///
    /// [`PciError::NoDevice`].
    pub fn command(&mut self, address: Address) -> Result<Command, PciError> {
        self.identity(address).ok_or(PciError::NoDevice(address))?;
        Ok(Command(self.read(address, Register::COMMAND_AND_STATUS) as u16))
    }

    /// Sets the bits `set` of the command register, clears the bits `clear`, which win, and leaves
    /// the rest.
    ///
    /// # Errors
    ///
    /// [`PciError::NoDevice`].
    ///
    /// # Safety
    ///
    ///  - Where the change lets the function answer in a space, its base addresses collide with
    ///    nothing.
    ///  - Where the change lets the function write to memory, neither firmware nor another kernel
    ///    has left it with work that writes where it must not.
    pub unsafe fn change_command(
        &mut self,
        address: Address,
        set: Command,
        clear: Command,
    ) -> Result<(), PciError> {
        let old = self.command(address)?;
        let new = (old.0 | set.0) & !clear.0;
        // The upper half is the status register, whose bits are cleared by writing 1.
        self.write(address, Register::COMMAND_AND_STATUS, u32::from(new));
        Ok(())
    }
}
