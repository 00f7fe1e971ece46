// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's educational PCI device (docs/specs/edu.rst in QEMU's source): a write to its raise
//! register sets the written bits in its status and makes it ring once, whatever is set already.
//! Its status stays until it is acknowledged, bit by bit.
//!
//! It rings by its MSI while that is enabled, else by its interrupt line.

use core::fmt;

use latchwork_x86::hw::{CpuPort, Mmio, MmioWindow};
use latchwork_x86::msi::Message;
use latchwork_x86::pci::{Command, ConfigSpace, Identity, Msi};

use crate::pci::{self, DeviceError};

const IDENTITY: Identity = Identity { vendor: 0x1234, device: 0x11e8 };
/// How many bytes of its registers are used here.
const REGISTER_BYTES: u64 = 0x100;

const IDENTIFICATION: usize = 0x00;
const STATUS: usize = 0x24;
const RAISE: usize = 0x60;
const ACKNOWLEDGE: usize = 0x64;

/// The lower half of the identification register; the upper half is the version.
const IDENTIFIED: u32 = 0x00ed;

/// The device's registers. Each method is one access, on which the device acts as a whole.
/// NMI-safe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edu {
    registers: MmioWindow,
}

impl Edu {
    /// Raises the event of each bit that is set in `bits`, and rings once.
    pub(crate) fn raise(self, bits: u32) {
        self.write(RAISE, bits);
    }

    /// The events that were raised and not acknowledged, a bit each.
    pub(crate) fn status(self) -> u32 {
        self.read(STATUS)
    }

    /// Clears the status bits that are set in `bits`.
    pub(crate) fn acknowledge(self, bits: u32) {
        self.write(ACKNOWLEDGE, bits);
    }

    fn read(self, offset: usize) -> u32 {
        // SAFETY: one of the registers above; reading them has no effect.
        unsafe { self.registers.read(offset) }
    }

    fn write(self, offset: usize, value: u32) {
        // SAFETY: one of the registers above; all that a write does is to ring where the kernel has
        // said.
        unsafe { self.registers.write(offset, value) }
    }
}

/// The device, with what it takes to choose where it rings. Boot CPU.
pub(crate) struct Ringing {
    space: ConfigSpace<CpuPort>,
    msi: Msi,
    /// Its registers.
    pub(crate) edu: Edu,
}

impl fmt::Debug for Ringing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ringing").field("msi", &self.msi).field("edu", &self.edu).finish()
    }
}

impl Ringing {
    /// Finds the device and switches it on: it answers in memory and may send messages, but its MSI
    /// is disabled, its interrupt line as well, and its status is clear.
    pub(crate) fn find() -> Result<Self, DeviceError> {
        let mut space = pci::config_space();
        let address = pci::find(&mut space, IDENTITY)?;
        let registers = pci::registers(&mut space, address, REGISTER_BYTES)?;
        let msi = space.msi(address)?;
        msi.disable(&mut space);
        let on = Command::MEMORY | Command::BUS_MASTER | Command::INTERRUPT_LINE_DISABLED;
        // SAFETY: the firmware has assigned the addresses, and the device does no DMA that it was
        // not told to do.
        unsafe { space.change_command(address, on, Command::NONE) }?;

        // SAFETY: the registers are mapped uncached on every CPU, for ever; base addresses are
        // aligned to 16 bytes or more.
        let edu = Edu { registers: unsafe { MmioWindow::new(registers) } };
        let identification = edu.read(IDENTIFICATION);
        assert!(
            identification & 0xffff == IDENTIFIED,
            "PCI device {address} calls itself edu and identifies itself as {identification:#x}"
        );
        edu.acknowledge(u32::MAX);
        Ok(Self { space, msi, edu })
    }

    /// Makes `message` what the device sends when it rings.
    pub(crate) fn ring_by(&mut self, message: Message) {
        self.msi.program(&mut self.space, message);
        self.msi.enable(&mut self.space);
    }

    /// Keeps the device from ringing.
    pub(crate) fn silence(&mut self) {
        self.msi.disable(&mut self.space);
    }
}
