// SPDX-License-Identifier: MIT OR Apache-2.0
//! The NMI stack of a CPU and what lies at its top.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::fmt;
use core::mem::size_of;
use core::ptr::NonNull;

use crate::hw::GsAccess;

const CR4_FSGSBASE: u64 = 1 << 16;
const FLAG_FSGSBASE: u64 = 1 << 0;

/// What the entry must know of its CPU before it can read per-CPU data. It lies at the very top of
/// the CPU's NMI stack. The IST pointer is its address, so the CPU pushes the frame right below it.
#[derive(Clone, Debug)]
#[repr(C, align(16))]
pub struct NmiStackTop {
    gs_base: u64,
    flags: u64,
}

const _: () = assert!(size_of::<NmiStackTop>() == 16);

impl NmiStackTop {
    /// The top of the stack of a CPU whose kernel code runs with GS base `gs_base`.
    ///
    /// `access` says how the entry reads and writes the GS base on that CPU ([`gs_access`]).
    #[must_use]
    pub const fn new(gs_base: u64, access: GsAccess) -> Self {
        let flags = match access {
            GsAccess::Msr => 0,
            GsAccess::FsGsBase => FLAG_FSGSBASE,
        };
        Self { gs_base, flags }
    }

    /// Puts the value at the top of a stack that the kernel allocated itself, and returns the value
    /// for the TSS's IST slot.
    ///
    /// # Safety
    ///
    ///  - `stack_end` is the address right above the stack's highest byte, aligned to 16 bytes.
    ///  - The stack is mapped, writable, used by the NMI of one CPU only, and stays so while that
    ///    CPU may take an NMI.
    ///  - No NMI arrives on that stack during the call.
    ///  - `self` is true of that CPU: a canonical GS base and an access that is possible.
    pub unsafe fn install(self, stack_end: NonNull<u8>) -> u64 {
        let top = stack_end.as_ptr().wrapping_sub(size_of::<Self>()).cast::<Self>();
        // SAFETY: the 16 bytes below `stack_end` are writable, aligned and not in use (contract of
        // this function).
        unsafe { top.write(self) }
        top.expose_provenance() as u64
    }

    pub(super) const fn gs_base(&self) -> u64 {
        self.gs_base
    }

    pub(super) const fn access(&self) -> GsAccess {
        if self.flags & FLAG_FSGSBASE != 0 { GsAccess::FsGsBase } else { GsAccess::Msr }
    }
}

/// How the GS base can be reached on the executing CPU: [`GsAccess::FsGsBase`] if CR4.FSGSBASE is
/// set. The kernel must not change that bit after it has set up the CPU's NMI stack.
///
/// # Safety
///
/// Needs privilege level 0.
#[must_use]
pub unsafe fn gs_access() -> GsAccess {
    let cr4: u64;
    // SAFETY: privilege level 0 by the contract of this function.
    unsafe { asm!("mov {}, cr4", out(reg) cr4, options(nomem, nostack, preserves_flags)) }
    if cr4 & CR4_FSGSBASE != 0 { GsAccess::FsGsBase } else { GsAccess::Msr }
}

/// An NMI stack of `BYTES` usable bytes, for a `static`.
///
/// It has no guard page. A kernel that maps its stacks with guard pages uses
/// [`NmiStackTop::install`].
#[repr(C, align(16))]
pub struct NmiStack<const BYTES: usize> {
    memory: UnsafeCell<[u8; BYTES]>,
    top: UnsafeCell<NmiStackTop>,
}

// SAFETY: the memory belongs to the CPU that takes NMIs on it; nothing is reached through a shared
// reference but by the unsafe `set_up`.
unsafe impl<const BYTES: usize> Sync for NmiStack<BYTES> {}

impl<const BYTES: usize> NmiStack<BYTES> {
    /// A stack that no CPU has yet.
    #[must_use]
    pub const fn new() -> Self {
        const {
            assert!(BYTES % 16 == 0, "an NMI stack's size is a multiple of 16");
            assert!(BYTES >= 4096, "an NMI stack has at least 4 KiB");
        }
        Self {
            memory: UnsafeCell::new([0; BYTES]),
            top: UnsafeCell::new(NmiStackTop::new(0, GsAccess::Msr)),
        }
    }

    /// Gives the stack to a CPU whose kernel code runs with GS base `gs_base`, and returns the
    /// value for the TSS's IST slot.
    ///
    /// # Safety
    ///
    ///  - The stack is used by the NMI of one CPU only, and no NMI arrives on it during the call.
    ///  - `gs_base` is canonical and that CPU's, and `access` is possible there ([`gs_access`]).
    pub unsafe fn set_up(&'static self, gs_base: u64, access: GsAccess) -> u64 {
        let end = NonNull::from(self).cast::<Self>().as_ptr().wrapping_add(1);
        let end = NonNull::new(end.cast::<u8>()).unwrap_or(NonNull::dangling());
        // SAFETY:
        //  - `end` is the address right above this static, whose last 16 bytes are `top`; the size
        //    is a multiple of 16.
        //  - The rest is the contract of this function.
        unsafe { NmiStackTop::new(gs_base, access).install(end) }
    }
}

impl<const BYTES: usize> Default for NmiStack<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const BYTES: usize> fmt::Debug for NmiStack<BYTES> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NmiStack").field("top", &self.top.get()).finish_non_exhaustive()
    }
}
