// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mode of the local APIC, in IA32_APIC_BASE (SDM Vol. 3A, "Local APIC Status and Location" and
//! "x2APIC State Transitions").

use crate::hw::Msr;
use crate::icr::ApicId;

const IA32_APIC_BASE: u32 = 0x1B;
const X2APIC: u64 = 1 << 10;
const ENABLED: u64 = 1 << 11;
const BASE_ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;

/// The mode of a local APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApicMode {
    /// Switched off as a whole. Not the same as software-disabled.
    Disabled,
    /// Registers in memory, 8-bit IDs.
    XApic,
    /// Registers are MSRs, 32-bit IDs.
    X2Apic,
}

impl ApicMode {
    /// Whether an interprocessor interrupt that is sent in this mode can name the CPU `id`: any in
    /// x2APIC mode, those up to 254 in xAPIC mode, none while the local APIC is disabled.
    #[must_use]
    pub const fn reaches(self, id: ApicId) -> bool {
        match self {
            Self::Disabled => false,
            Self::XApic => id.narrow().is_some(),
            Self::X2Apic => true,
        }
    }
}

/// The mode of the executing CPU's local APIC.
///
/// # Safety
///
/// `msr` is the executing CPU's, at privilege level 0.
pub unsafe fn current(msr: &impl Msr) -> ApicMode {
    // SAFETY: every x86-64 CPU has IA32_APIC_BASE.
    let value = unsafe { msr.read(IA32_APIC_BASE) };
    match (value & ENABLED != 0, value & X2APIC != 0) {
        (true, true) => ApicMode::X2Apic,
        (true, false) => ApicMode::XApic,
        // Extended without enabled is an invalid state that no CPU enters.
        (false, _) => ApicMode::Disabled,
    }
}

/// The physical address of the register page in xAPIC mode.
///
/// # Safety
///
/// `msr` is the executing CPU's, at privilege level 0.
pub unsafe fn base_address(msr: &impl Msr) -> u64 {
    // SAFETY: every x86-64 CPU has IA32_APIC_BASE.
    let value = unsafe { msr.read(IA32_APIC_BASE) };
    value & BASE_ADDRESS
}

/// Brings the executing CPU's local APIC into `mode`, by legal transitions only: from off to x2APIC
/// by way of xAPIC, and from x2APIC to xAPIC by way of off. Switching the APIC off resets all its
/// registers.
///
/// # Safety
///
///  - `msr` is the executing CPU's, at privilege level 0.
///  - For [`ApicMode::X2Apic`], the CPU has x2APIC (CPUID.01H:ECX\[21\]). For any other mode,
///    firmware has not locked x2APIC mode (IA32_XAPIC_DISABLE_STATUS).
///  - No other code, an NMI handler included, uses the APIC of this CPU meanwhile, and none uses it
///    in the old mode later.
pub unsafe fn switch(msr: &impl Msr, mode: ApicMode) {
    // SAFETY: the contract of this function.
    let current = unsafe { current(msr) };
    // SAFETY: every x86-64 CPU has IA32_APIC_BASE.
    let kept = unsafe { msr.read(IA32_APIC_BASE) } & !(ENABLED | X2APIC);
    let write = |bits: u64| {
        // SAFETY: only legal transitions are written below; the rest is the contract of this
        // function.
        unsafe { msr.write(IA32_APIC_BASE, kept | bits) }
    };
    match (current, mode) {
        (ApicMode::Disabled, ApicMode::Disabled)
        | (ApicMode::XApic, ApicMode::XApic)
        | (ApicMode::X2Apic, ApicMode::X2Apic) => {}
        (_, ApicMode::Disabled) => write(0),
        (ApicMode::Disabled, ApicMode::XApic) => write(ENABLED),
        (ApicMode::X2Apic, ApicMode::XApic) => {
            write(0);
            write(ENABLED);
        }
        (ApicMode::XApic, ApicMode::X2Apic) => write(ENABLED | X2APIC),
        (ApicMode::Disabled, ApicMode::X2Apic) => {
            write(ENABLED);
            write(ENABLED | X2APIC);
        }
    }
}
