// SPDX-License-Identifier: MIT OR Apache-2.0
//! The local vector table (SDM Vol. 3A, "Local Vector Table"): what each interrupt source inside
//! the APIC raises.

use core::fmt;

use super::registers::Register;
use super::{Access, Lapic, TimerMode};
use crate::{NmiSource, Vector};

const DELIVERY_FIXED: u32 = 0b000 << 8;
const DELIVERY_SMI: u32 = 0b010 << 8;
const DELIVERY_NMI: u32 = 0b100 << 8;
const DELIVERY_INIT: u32 = 0b101 << 8;
const DELIVERY_EXTINT: u32 = 0b111 << 8;
const DELIVERY_MODE: u32 = 0b111 << 8;
const DELIVERY_PENDING: u32 = 1 << 12;
const ACTIVE_LOW: u32 = 1 << 13;
const REMOTE_IRR: u32 = 1 << 14;
const LEVEL_TRIGGERED: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;
const TIMER_PERIODIC: u32 = 1 << 17;

/// An entry of the local vector table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lvt {
    /// Corrected machine check interrupt. Present if [`max_lvt`](super::Version::max_lvt) is at
    /// least 6.
    Cmci,
    /// The APIC timer.
    Timer,
    /// Thermal monitor. Present if [`max_lvt`](super::Version::max_lvt) is at least 5.
    Thermal,
    /// Performance-counter overflow, Intel PT included. Present if
    /// [`max_lvt`](super::Version::max_lvt) is at least 4.
    ///
    /// Intel CPUs set its mask bit when they deliver it; AMD CPUs do not.
    Performance,
    /// The LINT0 pin, by tradition INTR of the 8259.
    Lint0,
    /// The LINT1 pin, by tradition NMI of the chipset.
    Lint1,
    /// An error that the APIC itself found.
    Error,
}

impl Lvt {
    const fn min_max_lvt(self) -> u8 {
        match self {
            Self::Timer | Self::Lint0 | Self::Lint1 | Self::Error => 0,
            Self::Performance => 4,
            Self::Thermal => 5,
            Self::Cmci => 6,
        }
    }
}

/// The entries that raise events of the CPU itself and may be delivered as an NMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuEvent {
    /// [`Lvt::Cmci`].
    Cmci,
    /// [`Lvt::Thermal`].
    Thermal,
    /// [`Lvt::Performance`].
    Performance,
}

/// How an event of the CPU itself is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuEventDelivery {
    /// As a maskable interrupt.
    Fixed(Vector),
    /// As an NMI, with the number that NMI-source reporting gives for it.
    Nmi(Option<NmiSource>),
    /// As a system management interrupt.
    Smi,
}

/// The two interrupt pins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lint {
    /// [`Lvt::Lint0`].
    Lint0,
    /// [`Lvt::Lint1`].
    Lint1,
}

/// How a signal on an interrupt pin is delivered. Only fixed delivery has a choice of trigger: NMI,
/// SMI and INIT are always edge-triggered, ExtINT always level-triggered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LintDelivery {
    /// As a maskable interrupt.
    Fixed(Vector, Trigger),
    /// As an NMI, with the number that NMI-source reporting gives for it.
    Nmi(Option<NmiSource>),
    /// As a system management interrupt.
    Smi,
    /// As INIT.
    Init,
    /// As an interrupt of an external controller (8259), which supplies the vector.
    ExtInt,
}

/// When a pin raises an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// When the signal becomes active.
    Edge,
    /// While the signal is active. Not for LINT1.
    Level,
}

/// Which level of a pin is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// High.
    ActiveHigh,
    /// Low.
    ActiveLow,
}

/// Whether an entry raises interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// It raises none.
    Masked,
    /// It raises interrupts.
    Unmasked,
}

impl Mask {
    const fn bit(self) -> u32 {
        match self {
            Self::Masked => MASKED,
            Self::Unmasked => 0,
        }
    }
}

/// Why an LVT entry was not touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LvtError {
    /// This APIC does not have the entry.
    NotPresent(Lvt),
    /// LINT1 cannot be level-triggered.
    LevelTriggeredLint1,
}

impl fmt::Display for LvtError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPresent(entry) => {
                write!(formatter, "this local APIC has no LVT entry {entry:?}")
            }
            Self::LevelTriggeredLint1 => formatter.write_str("LINT1 cannot be level-triggered"),
        }
    }
}

impl core::error::Error for LvtError {}

/// An LVT entry as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LvtEntry(u32);

impl LvtEntry {
    /// The register as read.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The mask bit.
    #[must_use]
    pub const fn mask(self) -> Mask {
        if self.0 & MASKED != 0 { Mask::Masked } else { Mask::Unmasked }
    }

    /// Whether the entry delivers NMIs. Not meaningful for the timer and error entries, which have
    /// no delivery mode.
    #[must_use]
    pub const fn delivers_nmi(self) -> bool {
        self.0 & DELIVERY_MODE == DELIVERY_NMI
    }

    /// Whether the entry has raised an interrupt that the CPU has not accepted yet.
    #[must_use]
    pub const fn is_pending(self) -> bool {
        self.0 & DELIVERY_PENDING != 0
    }
}

impl<A: Access> Lapic<A> {
    /// Whether this APIC has `entry`.
    #[must_use]
    pub fn has(&self, entry: Lvt) -> bool {
        self.version().max_lvt() >= entry.min_max_lvt()
    }

    /// Reads `entry`.
    ///
    /// # Errors
    ///
    /// [`LvtError::NotPresent`].
    pub fn lvt(&self, entry: Lvt) -> Result<LvtEntry, LvtError> {
        let register = self.present(entry)?;
        Ok(LvtEntry(self.access.read(register)))
    }

    /// Changes the mask bit of `entry` and leaves the rest.
    ///
    /// # Errors
    ///
    /// [`LvtError::NotPresent`].
    pub fn set_mask(&self, entry: Lvt, mask: Mask) -> Result<(), LvtError> {
        let register = self.present(entry)?;
        let programmed = self.access.read(register) & !(DELIVERY_PENDING | REMOTE_IRR | MASKED);
        self.access.write(register, programmed | mask.bit());
        Ok(())
    }

    /// Programs the timer entry.
    pub fn set_timer(&self, vector: Vector, mode: TimerMode, mask: Mask) {
        let mode = match mode {
            TimerMode::OneShot => 0,
            TimerMode::Periodic => TIMER_PERIODIC,
        };
        self.access.write(Register::LvtTimer, u32::from(vector.get()) | mode | mask.bit());
    }

    /// Programs the entry of an event of the CPU itself.
    ///
    /// # Errors
    ///
    /// [`LvtError::NotPresent`].
    pub fn set_cpu_event(
        &self,
        event: CpuEvent,
        delivery: CpuEventDelivery,
        mask: Mask,
    ) -> Result<(), LvtError> {
        let register = self.present(match event {
            CpuEvent::Cmci => Lvt::Cmci,
            CpuEvent::Thermal => Lvt::Thermal,
            CpuEvent::Performance => Lvt::Performance,
        })?;
        let delivery = match delivery {
            CpuEventDelivery::Fixed(vector) => DELIVERY_FIXED | u32::from(vector.get()),
            CpuEventDelivery::Nmi(source) => DELIVERY_NMI | u32::from(NmiSource::field(source)),
            CpuEventDelivery::Smi => DELIVERY_SMI,
        };
        self.access.write(register, delivery | mask.bit());
        Ok(())
    }

    /// Programs the entry of an interrupt pin.
    ///
    /// # Errors
    ///
    /// [`LvtError::LevelTriggeredLint1`].
    pub fn set_lint(
        &self,
        lint: Lint,
        delivery: LintDelivery,
        polarity: Polarity,
        mask: Mask,
    ) -> Result<(), LvtError> {
        let register = match lint {
            Lint::Lint0 => Register::LvtLint0,
            Lint::Lint1 => Register::LvtLint1,
        };
        let delivery = match delivery {
            LintDelivery::Fixed(_, Trigger::Level) if lint == Lint::Lint1 => {
                return Err(LvtError::LevelTriggeredLint1);
            }
            LintDelivery::Fixed(vector, Trigger::Edge) => DELIVERY_FIXED | u32::from(vector.get()),
            LintDelivery::Fixed(vector, Trigger::Level) => {
                DELIVERY_FIXED | u32::from(vector.get()) | LEVEL_TRIGGERED
            }
            LintDelivery::Nmi(source) => DELIVERY_NMI | u32::from(NmiSource::field(source)),
            LintDelivery::Smi => DELIVERY_SMI,
            LintDelivery::Init => DELIVERY_INIT,
            LintDelivery::ExtInt => DELIVERY_EXTINT,
        };
        let polarity = match polarity {
            Polarity::ActiveHigh => 0,
            Polarity::ActiveLow => ACTIVE_LOW,
        };
        self.access.write(register, delivery | polarity | mask.bit());
        Ok(())
    }

    /// Programs the error entry.
    pub fn set_error(&self, vector: Vector, mask: Mask) {
        self.access.write(Register::LvtError, u32::from(vector.get()) | mask.bit());
    }

    fn present(&self, entry: Lvt) -> Result<Register, LvtError> {
        if self.has(entry) { Ok(Register::of(entry)) } else { Err(LvtError::NotPresent(entry)) }
    }
}
