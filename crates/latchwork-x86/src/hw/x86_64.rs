// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hardware traits on the machine itself.

#![deny(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use core::arch::asm;
use core::ptr::{self, NonNull};

use super::{CpuState, GsAccess, Mmio, Msr, PhysicalMemory, Port, Unreadable};

const IA32_GS_BASE: u32 = 0xC000_0101;

/// The MSRs of the executing CPU, by `rdmsr` and `wrmsr`. NMI-safe.
#[derive(Clone, Copy, Debug)]
pub struct CpuMsr(());

impl CpuMsr {
    /// Gives access to the MSRs.
    ///
    /// # Safety
    ///
    /// Every use is at privilege level 0.
    #[must_use]
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

impl Msr for CpuMsr {
    #[inline]
    unsafe fn read(&self, index: u32) -> u64 {
        // SAFETY: privilege level 0 by the contract of `CpuMsr::new`, an existing MSR by that of
        // this method.
        unsafe { rdmsr(index) }
    }

    #[inline]
    unsafe fn write(&self, index: u32, value: u64) {
        // SAFETY: privilege level 0 by the contract of `CpuMsr::new`, the rest by that of this
        // method.
        unsafe { wrmsr(index, value) }
    }

    #[inline]
    fn order_stores_before_write(&self) {
        // SAFETY: the fences touch no register and no memory. Without `nomem`, the compiler moves
        // no memory access across them.
        unsafe { asm!("mfence", "lfence", options(nostack, preserves_flags)) }
    }
}

/// The I/O ports, by `in` and `out`. NMI-safe.
#[derive(Clone, Copy, Debug)]
pub struct CpuPort(());

impl CpuPort {
    /// Gives access to the I/O ports.
    ///
    /// # Safety
    ///
    /// Every use is with I/O privilege (privilege level 0).
    #[must_use]
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

impl Port for CpuPort {
    #[inline]
    unsafe fn read_u8(&self, port: u16) -> u8 {
        let value;
        // SAFETY: I/O privilege by the contract of `CpuPort::new`; the effect on the device is the
        // caller's.
        unsafe {
            asm!("in al, dx", out("al") value, in("dx") port, options(nostack, preserves_flags))
        }
        value
    }

    #[inline]
    unsafe fn write_u8(&self, port: u16, value: u8) {
        // SAFETY: I/O privilege by the contract of `CpuPort::new`; the effect on the device is the
        // caller's.
        unsafe {
            asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags))
        }
    }

    #[inline]
    unsafe fn read_u16(&self, port: u16) -> u16 {
        let value;
        // SAFETY: I/O privilege by the contract of `CpuPort::new`; the effect on the device is the
        // caller's.
        unsafe {
            asm!("in ax, dx", out("ax") value, in("dx") port, options(nostack, preserves_flags))
        }
        value
    }

    #[inline]
    unsafe fn write_u16(&self, port: u16, value: u16) {
        // SAFETY: I/O privilege by the contract of `CpuPort::new`; the effect on the device is the
        // caller's.
        unsafe {
            asm!("out dx, ax", in("dx") port, in("ax") value, options(nostack, preserves_flags))
        }
    }

    #[inline]
    unsafe fn read_u32(&self, port: u16) -> u32 {
        let value;
        // SAFETY: I/O privilege by the contract of `CpuPort::new`; the effect on the device is the
        // caller's.
        unsafe {
            asm!("in eax, dx", out("eax") value, in("dx") port, options(nostack, preserves_flags))
        }
        value
    }

    #[inline]
    unsafe fn write_u32(&self, port: u16, value: u32) {
        // SAFETY: I/O privilege by the contract of `CpuPort::new`; the effect on the device is the
        // caller's.
        unsafe {
            asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack, preserves_flags))
        }
    }
}

/// A mapped window of device registers, accessed by volatile 32-bit loads and stores. NMI-safe.
#[derive(Clone, Copy, Debug)]
pub struct MmioWindow {
    base: NonNull<u32>,
}

impl MmioWindow {
    /// Takes the window that starts at `base`.
    ///
    /// # Safety
    ///
    ///  - `base` is the address of a mapping of a device's registers that stays valid, is
    ///    uncacheable (UC), is at least as long as the driver that gets the window needs (4 KiB for
    ///    a local APIC), and is aligned to 4 bytes.
    ///  - The mapping is valid on every CPU that uses the window.
    #[must_use]
    pub const unsafe fn new(base: NonNull<u32>) -> Self {
        Self { base }
    }
}

// SAFETY: the window holds no state but an address that is valid on every CPU (contract of `new`);
// what concurrent accesses do to the device is the business of the callers of the unsafe access
// methods.
unsafe impl Send for MmioWindow {}
// SAFETY: as for `Send`.
unsafe impl Sync for MmioWindow {}

impl Mmio for MmioWindow {
    #[inline]
    unsafe fn read(&self, offset: usize) -> u32 {
        let register = self.base.as_ptr().wrapping_byte_add(offset);
        // SAFETY: `offset` is aligned and inside the window, which is mapped (contracts of this
        // method and of `new`).
        unsafe { ptr::read_volatile(register) }
    }

    #[inline]
    unsafe fn write(&self, offset: usize, value: u32) {
        let register = self.base.as_ptr().wrapping_byte_add(offset);
        // SAFETY: `offset` is aligned and inside the window, which is mapped (contracts of this
        // method and of `new`).
        unsafe { ptr::write_volatile(register, value) }
    }
}

/// Physical memory that is mapped at a constant distance (an identity map has the distance 0).
#[derive(Clone, Copy, Debug)]
pub struct DirectMap {
    virtual_offset: u64,
    physical_end: u64,
}

impl DirectMap {
    /// Describes a direct map: physical address `p` is readable at virtual address `p +
    /// virtual_offset` for all `p < physical_end`.
    ///
    /// # Safety
    ///
    /// The mapping is as described, stays so, and what is read through it (firmware tables) is not
    /// written meanwhile.
    #[must_use]
    pub const unsafe fn new(virtual_offset: u64, physical_end: u64) -> Self {
        Self { virtual_offset, physical_end }
    }
}

impl PhysicalMemory for DirectMap {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let length = u64::try_from(buffer.len()).map_err(|_| Unreadable)?;
        let end = address.checked_add(length).ok_or(Unreadable)?;
        if end > self.physical_end {
            return Err(Unreadable);
        }
        let start = address.wrapping_add(self.virtual_offset);
        let source = usize::try_from(start).map_err(|_| Unreadable)?;
        for (index, byte) in buffer.iter_mut().enumerate() {
            let location = ptr::with_exposed_provenance::<u8>(source).wrapping_add(index);
            // SAFETY: the byte lies below `physical_end`, so it is mapped and not written meanwhile
            // (contract of `new`). Volatile, as the compiler knows no object at this address, which
            // may even be 0.
            *byte = unsafe { ptr::read_volatile(location) };
        }
        Ok(())
    }
}

/// The executing CPU's GS base, CR2 and DR7. NMI-safe.
#[derive(Clone, Copy, Debug)]
pub struct Cpu;

impl CpuState for Cpu {
    #[inline(always)]
    unsafe fn gs_base(&self, access: GsAccess) -> u64 {
        match access {
            GsAccess::FsGsBase => {
                let base;
                // SAFETY: CR4.FSGSBASE is set (contract of this method).
                unsafe {
                    asm!("rdgsbase {}", out(reg) base, options(nomem, nostack, preserves_flags))
                }
                base
            }
            // SAFETY: every x86-64 CPU has IA32_GS_BASE; privilege level 0 by the contract of this
            // method.
            GsAccess::Msr => unsafe { rdmsr(IA32_GS_BASE) },
        }
    }

    #[inline(always)]
    unsafe fn set_gs_base(&self, access: GsAccess, base: u64) {
        match access {
            // SAFETY: CR4.FSGSBASE is set and `base` is canonical (contract of this method). Not
            // `nomem`: accesses through GS must not move across it.
            GsAccess::FsGsBase => unsafe {
                asm!("wrgsbase {}", in(reg) base, options(nostack, preserves_flags));
            },
            // SAFETY: every x86-64 CPU has IA32_GS_BASE; the rest by the contract of this method.
            GsAccess::Msr => unsafe { wrmsr(IA32_GS_BASE, base) },
        }
    }

    #[inline(always)]
    unsafe fn cr2(&self) -> u64 {
        let value;
        // SAFETY: privilege level 0 by the contract of this method. Not `nomem`: a faulting access
        // changes CR2.
        unsafe { asm!("mov {}, cr2", out(reg) value, options(nostack, preserves_flags)) }
        value
    }

    #[inline(always)]
    unsafe fn set_cr2(&self, value: u64) {
        // SAFETY: privilege level 0 by the contract of this method.
        unsafe { asm!("mov cr2, {}", in(reg) value, options(nostack, preserves_flags)) }
    }

    #[inline(always)]
    unsafe fn dr7(&self) -> u64 {
        let value;
        // SAFETY: privilege level 0 and DR7.GD clear by the contract of this method.
        unsafe { asm!("mov {}, dr7", out(reg) value, options(nostack, preserves_flags)) }
        value
    }

    #[inline(always)]
    unsafe fn set_dr7(&self, value: u64) {
        // SAFETY: privilege level 0, DR7.GD clear and an acceptable value by the contract of this
        // method.
        unsafe { asm!("mov dr7, {}", in(reg) value, options(nostack, preserves_flags)) }
    }
}

#[inline(always)]
unsafe fn rdmsr(index: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: privilege level 0 and an existing MSR by the contracts of the callers.
    unsafe {
        asm!(
            "rdmsr",
            in("ecx") index,
            out("eax") low, out("edx") high,
            options(nostack, preserves_flags)
        );
    }
    (u64::from(high) << 32) | u64::from(low)
}

#[inline(always)]
unsafe fn wrmsr(index: u32, value: u64) {
    let low = value as u32;
    let high = (value >> 32) as u32;
    // SAFETY: privilege level 0, an existing MSR and an acceptable value by the contracts of the
    // callers.
    unsafe {
        asm!(
            "wrmsr",
            in("ecx") index,
            in("eax") low, in("edx") high,
            options(nostack, preserves_flags)
        );
    }
}
