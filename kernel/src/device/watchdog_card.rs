// SPDX-License-Identifier: MIT OR Apache-2.0
//! The watchdog of the Intel 6300ESB I/O controller hub (datasheet 300641, chapter "Watchdog
//! Timer"), as QEMU emulates it for a PCI card of its own.
//!
//! Two stages count down one after the other. The end of the first could raise an interrupt, which
//! this driver disables. The end of the second sets the timeout bit, which stays until software
//! clears it, and drives a pin. QEMU then does what `-watchdog-action` says, and resets the card
//! but for that bit.
//!
//! An access that changes something takes three writes, of which two unlock the register. A thread
//! makes such accesses only while the card cannot expire, so that the handler's accesses do not
//! come in between.

use core::fmt;
use core::ptr::NonNull;

use latchwork_x86::hw::CpuPort;
use latchwork_x86::pci::{Address, Command, ConfigSpace, Identity, PciError};

use crate::pci::{self, DeviceError};

const IDENTITY: Identity = Identity { vendor: 0x8086, device: 0x25ab };
const REGISTER_BYTES: u64 = 0x10;

/// 16 bits in configuration space.
const CONFIGURATION: u8 = 0x60;
const CLOCK_1_MHZ: u16 = 1 << 2;
const NO_FIRST_STAGE_INTERRUPT: u16 = 0b11;

/// 8 bits in configuration space.
const LOCK: u8 = 0x68;
const ENABLED: u8 = 1 << 1;

/// 32 bits in memory each: what the stages count down from.
const PRELOADS: [usize; 2] = [0x00, 0x04];
/// 16 bits in memory.
const RELOAD: usize = 0x0c;
const RESTART: u16 = 1 << 8;
const TIMED_OUT: u16 = 1 << 9;
const UNLOCK: [u16; 2] = [0x80, 0x86];

/// The period of the PCI clock, 33 MHz, by which QEMU counts; and by what the faster of the two
/// prescalers divides it.
const PCI_CLOCK_NS: u64 = 30;
const PCI_CLOCKS_A_TICK: u64 = 32;
const LARGEST_PRELOAD: u64 = (1 << 20) - 1;

/// The card's registers in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Card {
    registers: NonNull<u32>,
}

// SAFETY: the registers are mapped on every CPU, for ever; what concurrent accesses do is said at
// each method.
unsafe impl Send for Card {}

impl Card {
    /// Whether the card has expired since that was last cleared. NMI-safe.
    pub(crate) fn has_expired(self) -> bool {
        let reload = self.registers.as_ptr().wrapping_byte_add(RELOAD).cast::<u16>();
        // SAFETY: the register is mapped, and reading it has no effect.
        unsafe { reload.read_volatile() & TIMED_OUT != 0 }
    }

    /// Clears the timeout bit. NMI-safe, while no thread changes anything.
    pub(crate) fn clear_expired(self) {
        self.change_reload(TIMED_OUT);
    }

    /// Starts the countdown anew. Threads, while the card cannot expire.
    pub(crate) fn ping(self) {
        self.change_reload(RESTART);
    }

    fn change_reload(self, bits: u16) {
        self.unlock();
        self.write_reload(bits);
    }

    fn set_preload(self, stage: usize, ticks: u32) {
        self.unlock();
        let preload = self.registers.as_ptr().wrapping_byte_add(PRELOADS[stage]);
        // SAFETY: the register is mapped; it is used when the stage begins.
        unsafe { preload.write_volatile(ticks) };
    }

    fn unlock(self) {
        for word in UNLOCK {
            self.write_reload(word);
        }
    }

    fn write_reload(self, value: u16) {
        let reload = self.registers.as_ptr().wrapping_byte_add(RELOAD).cast::<u16>();
        // SAFETY: the register is mapped; all that a write does is to unlock, to restart, or to
        // clear.
        unsafe { reload.write_volatile(value) };
    }
}

/// The card with what is needed to start and stop it. Boot CPU.
pub(crate) struct Startable {
    space: ConfigSpace<CpuPort>,
    address: Address,
    /// Its registers in memory.
    pub(crate) card: Card,
}

impl fmt::Debug for Startable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Startable").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Startable {
    /// Finds the card and has it answer in memory; it does not run.
    pub(crate) fn find() -> Result<Self, DeviceError> {
        let mut space = pci::config_space();
        let address = pci::find(&mut space, IDENTITY)?;
        let registers = pci::registers(&mut space, address, REGISTER_BYTES)?;
        // SAFETY: the firmware has assigned the address; the card does no DMA.
        unsafe { space.change_command(address, Command::MEMORY, Command::NONE) }?;
        let mut found = Self { space, address, card: Card { registers } };
        found.stop()?;
        Ok(found)
    }

    /// Starts the card and clears its timeout bit. The card expires after `timeout_ms`, two seconds
    /// at most, half of it in each stage, unless software pings or stops it.
    pub(crate) fn start(&mut self, timeout_ms: u64) -> Result<(), PciError> {
        let stage_ns = timeout_ms * 1_000_000 / 2;
        let ticks = stage_ns.div_ceil(PCI_CLOCK_NS * PCI_CLOCKS_A_TICK);
        assert!(ticks <= LARGEST_PRELOAD, "the card cannot count to {timeout_ms} ms");
        self.stop()?;
        let configuration = CLOCK_1_MHZ | NO_FIRST_STAGE_INTERRUPT;
        // SAFETY: this card's register; it chooses the clock, and lets the end of the second stage
        // act.
        unsafe { self.space.set_own_u16(self.address, CONFIGURATION, configuration) }?;
        for stage in 0..PRELOADS.len() {
            self.card.set_preload(stage, ticks as u32);
        }
        self.card.clear_expired();
        self.card.ping();
        self.set_lock(ENABLED)
    }

    /// Stops the card.
    pub(crate) fn stop(&mut self) -> Result<(), PciError> {
        self.set_lock(0)
    }

    /// Whether the card runs.
    pub(crate) fn runs(&mut self) -> Result<bool, PciError> {
        // SAFETY: this card's register; reading it has no effect.
        Ok(unsafe { self.space.own_u8(self.address, LOCK) }? & ENABLED != 0)
    }

    fn set_lock(&mut self, bits: u8) -> Result<(), PciError> {
        // SAFETY: this card's register; it starts or stops the card, and never sets the bit that
        // keeps it from being stopped.
        unsafe { self.space.set_own_u8(self.address, LOCK, bits) }
    }
}
