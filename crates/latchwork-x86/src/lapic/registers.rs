// SPDX-License-Identifier: MIT OR Apache-2.0
//! Register numbers (SDM Vol. 3A, "Local APIC Register Address Map" and "x2APIC Register Address
//! Space").

use super::lvt::Lvt;

/// A register, by its offset in bytes in xAPIC mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Register {
    Id = 0x20,
    Version = 0x30,
    TaskPriority = 0x80,
    EndOfInterrupt = 0xB0,
    SpuriousVector = 0xF0,
    ErrorStatus = 0x280,
    LvtCmci = 0x2F0,
    IcrLow = 0x300,
    IcrHigh = 0x310,
    LvtTimer = 0x320,
    LvtThermal = 0x330,
    LvtPerformance = 0x340,
    LvtLint0 = 0x350,
    LvtLint1 = 0x360,
    LvtError = 0x370,
    TimerInitialCount = 0x380,
    TimerCurrentCount = 0x390,
    TimerDivide = 0x3E0,
}

pub(super) const X2APIC_ICR: u32 = 0x830;
pub(super) const X2APIC_SELF_IPI: u32 = 0x83F;

impl Register {
    pub(super) const fn offset(self) -> usize {
        self as usize
    }

    pub(super) const fn msr(self) -> u32 {
        0x800 | (self as u32 >> 4)
    }

    pub(super) const fn of(entry: Lvt) -> Self {
        match entry {
            Lvt::Cmci => Self::LvtCmci,
            Lvt::Timer => Self::LvtTimer,
            Lvt::Thermal => Self::LvtThermal,
            Lvt::Performance => Self::LvtPerformance,
            Lvt::Lint0 => Self::LvtLint0,
            Lvt::Lint1 => Self::LvtLint1,
            Lvt::Error => Self::LvtError,
        }
    }
}
