// SPDX-License-Identifier: MIT OR Apache-2.0
//! Gates of the interrupt table.

use crate::cpu::stacks::Ist;

/// A 64-bit interrupt gate (SDM Vol. 3A, 7.14.1): interrupts off on entry, on a stack of the
/// interrupt stack table.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub(crate) struct Gate {
    low: u64,
    high: u64,
}

impl Gate {
    const CODE_SELECTOR: u64 = 8;
    const PRESENT_INTERRUPT_GATE: u64 = 0x8e;

    /// No gate.
    pub(crate) const MISSING: Self = Self { low: 0, high: 0 };

    /// A gate to entry code at `address`, on stack `ist`. There is no gate without a stack of its
    /// own.
    pub(crate) const fn new(address: u64, ist: Ist) -> Self {
        let low = (address & 0xffff)
            | Self::CODE_SELECTOR << 16
            | (ist as u64) << 32
            | Self::PRESENT_INTERRUPT_GATE << 40
            | (address >> 16 & 0xffff) << 48;
        Self { low, high: address >> 32 }
    }
}
