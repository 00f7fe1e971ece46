// SPDX-License-Identifier: MIT OR Apache-2.0
//! The MSI capability (PCI Local Bus Specification 3.0, 6.8.1).

use super::{Address, CapabilityId, ConfigSpace, PciError, Register};
use crate::hw::Port;
use crate::lapic::lvt::Mask;
use crate::msi::Message;

const ENABLED: u32 = 1 << 16;
const MULTIPLE_MESSAGES: u32 = 0b111 << 20;
const IS_64_BIT: u32 = 1 << 23;
const HAS_MASK: u32 = 1 << 24;
const FIRST_MESSAGE: u32 = 1 << 0;
const DATA: u32 = 0xFFFF;

/// The MSI capability of a function. A device that raises an NMI by it rings once per event; what
/// its condition is depends on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Msi {
    function: Address,
    control: Register,
    address_low: Register,
    address_high: Option<Register>,
    data: Register,
    mask: Option<Register>,
    pending: Option<Register>,
}

impl<P: Port> ConfigSpace<P> {
    /// Finds the MSI capability of the function at `address`. Changes nothing.
    ///
    /// # Errors
    ///
    /// As [`capability`](Self::capability), and [`PciError::CapabilityTruncated`].
    pub fn msi(&mut self, address: Address) -> Result<Msi, PciError> {
        let offset = self.capability(address, CapabilityId::MSI)?;
        let control = Register::containing(offset);
        let bits = self.read(address, control);
        let (is_64_bit, has_mask) = (bits & IS_64_BIT != 0, bits & HAS_MASK != 0);
        let at =
            |bytes| control.after(bytes).ok_or(PciError::CapabilityTruncated { address, offset });
        let data_offset = if is_64_bit { 0x0C } else { 0x08 };
        let (mask_offset, pending_offset) = if is_64_bit { (0x10, 0x14) } else { (0x0C, 0x10) };
        Ok(Msi {
            function: address,
            control,
            address_low: at(0x04)?,
            address_high: if is_64_bit { Some(at(0x08)?) } else { None },
            data: at(data_offset)?,
            mask: if has_mask { Some(at(mask_offset)?) } else { None },
            pending: if has_mask { Some(at(pending_offset)?) } else { None },
        })
    }
}

impl Msi {
    /// Whether the capability takes 64-bit addresses.
    #[must_use]
    pub const fn is_64_bit(&self) -> bool {
        self.address_high.is_some()
    }

    /// Whether the function can mask its message.
    #[must_use]
    pub const fn has_mask(&self) -> bool {
        self.mask.is_some()
    }

    /// Whether the function sends messages.
    pub fn is_enabled<P: Port>(&self, space: &mut ConfigSpace<P>) -> bool {
        space.read(self.function, self.control) & ENABLED != 0
    }

    /// Disables the capability and makes `message` the one message that the function sends. It
    /// leaves the mask as it is, even if firmware or another kernel has left it set.
    ///
    /// While disabled, the function may use its interrupt line instead
    /// ([`Command::INTERRUPT_LINE_DISABLED`](super::Command::INTERRUPT_LINE_DISABLED)). To send, it
    /// also needs [`Command::BUS_MASTER`](super::Command::BUS_MASTER).
    pub fn program<P: Port>(&self, space: &mut ConfigSpace<P>, message: Message) {
        let control = space.read(self.function, self.control);
        // With more than one message the function would change the lower bits of the data, where
        // the vector or NMI source is.
        space.write(self.function, self.control, control & !(ENABLED | MULTIPLE_MESSAGES));
        space.write(self.function, self.address_low, message.address());
        if let Some(address_high) = self.address_high {
            space.write(self.function, address_high, 0);
        }
        let others = space.read(self.function, self.data) & !DATA;
        space.write(self.function, self.data, others | u32::from(message.data()));
    }

    /// Lets the function send its message, and keeps it from using its interrupt line.
    pub fn enable<P: Port>(&self, space: &mut ConfigSpace<P>) {
        let control = space.read(self.function, self.control);
        space.write(self.function, self.control, control | ENABLED);
    }

    /// Keeps the function from sending messages. Whether it signals later what happens meanwhile is
    /// up to the function.
    pub fn disable<P: Port>(&self, space: &mut ConfigSpace<P>) {
        let control = space.read(self.function, self.control);
        space.write(self.function, self.control, control & !ENABLED);
    }

    /// Masks or unmasks the message. The function sends a message that fell due while it was masked
    /// as soon as it is unmasked.
    ///
    /// # Errors
    ///
    /// [`PciError::NoMask`].
    pub fn set_mask<P: Port>(
        &self,
        space: &mut ConfigSpace<P>,
        mask: Mask,
    ) -> Result<(), PciError> {
        let register = self.mask.ok_or(PciError::NoMask(self.function))?;
        let others = space.read(self.function, register) & !FIRST_MESSAGE;
        let bit = match mask {
            Mask::Masked => FIRST_MESSAGE,
            Mask::Unmasked => 0,
        };
        space.write(self.function, register, others | bit);
        Ok(())
    }

    /// Whether the message is due and held back by its mask.
    ///
    /// # Errors
    ///
    /// [`PciError::NoMask`].
    pub fn is_pending<P: Port>(&self, space: &mut ConfigSpace<P>) -> Result<bool, PciError> {
        let register = self.pending.ok_or(PciError::NoMask(self.function))?;
        Ok(space.read(self.function, register) & FIRST_MESSAGE != 0)
    }
}
