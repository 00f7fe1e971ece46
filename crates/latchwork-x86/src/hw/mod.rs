// SPDX-License-Identifier: MIT OR Apache-2.0
//! Access to the hardware, as small traits.
//!
//! Every driver in this crate takes its hardware through one of these traits, so that the same
//! driver code runs on the machine and on a register-level model in a host test. The
//! implementations for the machine are [`CpuMsr`], [`CpuPort`], [`MmioWindow`], [`DirectMap`] and
//! [`Cpu`].
//!
//! Implementations that are used from NMI context must not lock, allocate or panic. Those of this
//! crate do not.

#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "x86_64")]
pub use x86_64::{Cpu, CpuMsr, CpuPort, DirectMap, MmioWindow};

use core::fmt;

/// Model-specific registers of the CPU that executes the call.
pub trait Msr {
    /// Reads the MSR `index`.
    ///
    /// # Safety
    ///
    /// The executing CPU has this MSR, and reading it has no effect that other code must not see.
    unsafe fn read(&self, index: u32) -> u64;

    /// Writes the MSR `index`.
    ///
    /// # Safety
    ///
    /// The executing CPU has this MSR, accepts `value` for it, and the effect breaks no assumption
    /// of the running code.
    unsafe fn write(&self, index: u32, value: u64);

    /// Makes every earlier store visible to all CPUs before any later [`write`](Self::write) takes
    /// effect.
    ///
    /// Needed before a write to an x2APIC register, which is not serialising: MFENCE and LFENCE
    /// (SDM Vol. 3A, "MSR Access in x2APIC Mode").
    fn order_stores_before_write(&self);
}

/// I/O ports.
pub trait Port {
    /// Reads one byte from `port`.
    ///
    /// # Safety
    ///
    /// The caller answers for the effect of the read on the device behind `port`.
    unsafe fn read_u8(&self, port: u16) -> u8;

    /// Writes one byte to `port`.
    ///
    /// # Safety
    ///
    /// The caller answers for the effect of the write on the device behind `port`.
    unsafe fn write_u8(&self, port: u16, value: u8);

    /// Reads 16 bits from `port` by one access.
    ///
    /// # Safety
    ///
    /// The caller answers for the effect of the read on the device behind `port` and the port after
    /// it.
    unsafe fn read_u16(&self, port: u16) -> u16;

    /// Writes 16 bits to `port` by one access.
    ///
    /// # Safety
    ///
    /// The caller answers for the effect of the write on the device behind `port` and the port
    /// after it.
    unsafe fn write_u16(&self, port: u16, value: u16);

    /// Reads 32 bits from `port` by one access.
    ///
    /// # Safety
    ///
    /// The caller answers for the effect of the read on the device behind `port` and the three
    /// ports after it.
    unsafe fn read_u32(&self, port: u16) -> u32;

    /// Writes 32 bits to `port` by one access.
    ///
    /// # Safety
    ///
    /// The caller answers for the effect of the write on the device behind `port` and the three
    /// ports after it.
    unsafe fn write_u32(&self, port: u16, value: u32);
}

/// A window of memory-mapped 32-bit device registers.
pub trait Mmio {
    /// Reads the register at `offset` bytes from the start of the window.
    ///
    /// # Safety
    ///
    /// `offset` is a multiple of 4 inside the window, and the caller answers for the effect of the
    /// read on the device.
    unsafe fn read(&self, offset: usize) -> u32;

    /// Writes the register at `offset` bytes from the start of the window.
    ///
    /// # Safety
    ///
    /// `offset` is a multiple of 4 inside the window, and the caller answers for the effect of the
    /// write on the device.
    unsafe fn write(&self, offset: usize, value: u32);
}

/// Ordinary memory (firmware tables, not device registers), read by physical address.
pub trait PhysicalMemory {
    /// Fills `buffer` with the bytes at physical address `address`.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] if any byte of the range cannot be read; the contents of `buffer` are then
    /// unspecified.
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable>;
}

/// A physical address range that [`PhysicalMemory`] does not reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("physical memory range cannot be read")
    }
}

impl core::error::Error for Unreadable {}

/// How the GS base is read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GsAccess {
    /// By `rdmsr` and `wrmsr` of IA32_GS_BASE (C000_0101H). Works on every x86-64 CPU.
    Msr,
    /// By `rdgsbase` and `wrgsbase`. Needs CR4.FSGSBASE set on this CPU (SDM Vol. 3A, 2.5).
    FsGsBase,
}

/// CPU state that the NMI entry saves and restores around the handler.
pub trait CpuState {
    /// Reads the current GS base.
    ///
    /// # Safety
    ///
    /// `access` is possible on this CPU.
    unsafe fn gs_base(&self, access: GsAccess) -> u64;

    /// Writes the current GS base.
    ///
    /// # Safety
    ///
    /// `access` is possible on this CPU, `base` is canonical, and no code that runs before the next
    /// change needs another base.
    unsafe fn set_gs_base(&self, access: GsAccess, base: u64);

    /// Reads CR2, the address of the last page fault.
    ///
    /// # Safety
    ///
    /// Needs privilege level 0.
    unsafe fn cr2(&self) -> u64;

    /// Writes CR2.
    ///
    /// # Safety
    ///
    /// Needs privilege level 0; no fault handler that has not yet read CR2 is interrupted by the
    /// caller, or `value` is what it needs.
    unsafe fn set_cr2(&self, value: u64);

    /// Reads DR7, the breakpoint control register.
    ///
    /// # Safety
    ///
    /// Needs privilege level 0 and DR7.GD clear.
    unsafe fn dr7(&self) -> u64;

    /// Writes DR7.
    ///
    /// # Safety
    ///
    /// Needs privilege level 0 and DR7.GD clear; bits 63:32 of `value` are 0, and breakpoints it
    /// enables may hit from here on.
    unsafe fn set_dr7(&self, value: u64);
}
