// SPDX-License-Identifier: MIT OR Apache-2.0
//! The high precision event timer (IA-PC HPET Specification 1.0a): a counter that all CPUs see
//! alike, and timers whose interrupt can be an NMI, through the [`ioapic`](crate::ioapic) or by a
//! [`msi`](crate::msi).
//!
//! A timer makes a good doorbell when its output is a *level* and the I/O APIC entry is
//! edge-triggered, as an NMI entry must be. The timer's status bit is then a condition that stays
//! until [`acknowledge`](Hpet::acknowledge) clears it, and that rings once: while the bit is set,
//! the line stays active, so further expiries do not ring. Timers with an edge or a message as
//! their output have no status: ignore what their bit shows (2.3.6).
//!
//! Everything takes `&self`, and nothing locks, allocates or panics. [`counter`](Hpet::counter),
//! [`is_pending`](Hpet::is_pending), [`acknowledge`](Hpet::acknowledge) and the methods of the
//! capabilities are NMI-safe. All others change a register that they have read, so the kernel
//! serialises them and does not call them in an NMI that may have interrupted one.
//!
//! The address comes from [`acpi::HpetTable`](crate::acpi::HpetTable).

#![deny(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod error;
mod registers;
mod timer;

pub use crate::lapic::lvt::Trigger;
pub use error::HpetError;
pub use timer::{MAX_TICKS, Output, TimerCapabilities};

use crate::hw::Mmio;
use registers::{
    CAPABILITIES, CONFIGURATION, CONFIGURATION_ENABLED, CONFIGURATION_LEGACY, COUNTER_HIGH,
    COUNTER_LOW, PERIOD, STATUS, TIMER_LEVEL,
};

/// The longest period that the specification allows: 100 ns.
const MAX_PERIOD_FS: u32 = 100_000_000;

const LAST_TIMER: u8 = 23;

/// Driver for one HPET, which serves all CPUs.
#[derive(Clone, Copy, Debug)]
pub struct Hpet<M> {
    registers: M,
    capabilities: Capabilities,
}

impl<M: Mmio> Hpet<M> {
    /// Takes the registers and reads the capabilities. Changes nothing.
    ///
    /// # Errors
    ///
    /// [`HpetError::NotThere`].
    ///
    /// # Safety
    ///
    ///  - `registers` are the 1 KiB register block of an HPET, mapped uncacheable.
    ///  - Nothing else programs the timers that are used through the value. The code that keeps
    ///    time by the HPET decides whether the counter runs and legacy replacement is on.
    ///  - The kernel has an interrupt gate for everything that it sets an output to raise.
    pub unsafe fn new(registers: M) -> Result<Self, HpetError> {
        // SAFETY: inside the registers by the contract of this function; reading has no effect.
        let period_fs = unsafe { registers.read(PERIOD) };
        if !(1..=MAX_PERIOD_FS).contains(&period_fs) {
            return Err(HpetError::NotThere { period_fs });
        }
        // SAFETY: as above.
        let low = unsafe { registers.read(CAPABILITIES) };
        Ok(Self { registers, capabilities: Capabilities { low, period_fs } })
    }

    /// What this HPET can do. NMI-safe.
    #[must_use]
    pub const fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// The counter. NMI-safe, and bounded: three reads.
    ///
    /// A 32-bit counter wraps after 2³² ticks, and so does the returned value.
    #[must_use]
    pub fn counter(&self) -> u64 {
        if !self.capabilities.counter_is_64_bit() {
            return u64::from(self.read(COUNTER_LOW));
        }
        let before = self.read(COUNTER_HIGH);
        let low = self.read(COUNTER_LOW);
        let after = self.read(COUNTER_HIGH);
        // If the upper half has moved on, `low` may belong to either value of it. But then the
        // counter has passed the number whose lower half is 0 between the first read and the last.
        let low = if before == after { low } else { 0 };
        u64::from(after) << 32 | u64::from(low)
    }

    /// Whether the counter runs, and with it the timers. NMI-safe.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.read(CONFIGURATION) & CONFIGURATION_ENABLED != 0
    }

    /// Starts the counter from its present value. Timers raise interrupts again.
    pub fn start(&self) {
        let configuration = self.read(CONFIGURATION);
        self.write(CONFIGURATION, configuration | CONFIGURATION_ENABLED);
    }

    /// Halts the counter. No timer raises an interrupt until it runs again. Until then, the line of
    /// each level that nobody has acknowledged yet drops, so that it rings a second time for one
    /// condition.
    pub fn halt(&self) {
        let configuration = self.read(CONFIGURATION);
        self.write(CONFIGURATION, configuration & !CONFIGURATION_ENABLED);
    }

    /// Sets the counter. A 32-bit counter takes the lower half.
    ///
    /// # Errors
    ///
    /// [`HpetError::CounterRuns`].
    pub fn set_counter(&self, ticks: u64) -> Result<(), HpetError> {
        if self.is_running() {
            return Err(HpetError::CounterRuns);
        }
        self.write(COUNTER_LOW, ticks as u32);
        if self.capabilities.counter_is_64_bit() {
            self.write(COUNTER_HIGH, (ticks >> 32) as u32);
        }
        Ok(())
    }

    /// Whether legacy replacement is on: timer 0 takes the place of the PIT (I/O APIC pin 2) and
    /// timer 1 that of the RTC (pin 8).
    #[must_use]
    pub fn legacy_replacement(&self) -> bool {
        self.read(CONFIGURATION) & CONFIGURATION_LEGACY != 0
    }

    /// Switches legacy replacement. While it is on, PIT and RTC raise no interrupts.
    ///
    /// # Errors
    ///
    /// [`HpetError::NoLegacyReplacement`].
    pub fn set_legacy_replacement(&self, on: bool) -> Result<(), HpetError> {
        if !self.capabilities.has_legacy_replacement() {
            return if on { Err(HpetError::NoLegacyReplacement) } else { Ok(()) };
        }
        let others = self.read(CONFIGURATION) & !CONFIGURATION_LEGACY;
        self.write(CONFIGURATION, others | if on { CONFIGURATION_LEGACY } else { 0 });
        Ok(())
    }

    /// Whether the level-triggered `timer` has fired and was not acknowledged yet. Always `false`
    /// for timers with another output, and for those that do not exist. NMI-safe.
    #[must_use]
    pub fn is_pending(&self, timer: u8) -> bool {
        self.read(STATUS) & self.status_bit(timer) != 0
    }

    /// Clears the status of the level-triggered `timer`, which makes its output inactive. Returns
    /// whether it was set. NMI-safe: the status of other timers is not touched.
    ///
    /// No two CPUs may call it at the same time for the same timer: the second one could clear an
    /// expiry that the first one has not seen. The library never has two CPUs in handlers of class
    /// `Platform`.
    pub fn acknowledge(&self, timer: u8) -> bool {
        let bit = self.status_bit(timer);
        let fired = self.read(STATUS) & bit != 0;
        if fired {
            self.write(STATUS, bit);
        }
        fired
    }

    /// The status bit of `timer` if that timer has a status, else 0.
    fn status_bit(&self, timer: u8) -> u32 {
        match self.timer(timer) {
            Ok(registers) if self.read(registers.configuration) & TIMER_LEVEL != 0 => {
                1u32.checked_shl(u32::from(timer)).unwrap_or(0)
            }
            _ => 0,
        }
    }

    fn read(&self, offset: usize) -> u32 {
        // SAFETY: all offsets in this module are multiples of 4 inside the register block, those of
        // timers since only existing ones are addressed (contract of `new`). Reads have no effect.
        unsafe { self.registers.read(offset) }
    }

    fn write(&self, offset: usize, value: u32) {
        // SAFETY: as for `read`. What the write does is bounded by the typed methods and by the
        // contract of `new`.
        unsafe { self.registers.write(offset, value) }
    }
}

/// What an HPET can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    low: u32,
    period_fs: u32,
}

impl Capabilities {
    /// The length of one tick of the counter in femtoseconds (10⁻¹⁵ s), 1 to 100,000,000.
    #[must_use]
    pub const fn period_fs(self) -> u32 {
        self.period_fs
    }

    /// The number of the highest timer, counted from 0: at most 23, even if the HPET claims more,
    /// since the 1 KiB of registers hold no others.
    #[must_use]
    pub const fn max_timer(self) -> u8 {
        let claimed = (self.low >> 8) as u8 & 0x1F;
        if claimed > LAST_TIMER { LAST_TIMER } else { claimed }
    }

    /// Whether the counter has 64 bits, not 32.
    #[must_use]
    pub const fn counter_is_64_bit(self) -> bool {
        self.low & (1 << 13) != 0
    }

    /// Whether timers 0 and 1 can take the place of PIT and RTC.
    #[must_use]
    pub const fn has_legacy_replacement(self) -> bool {
        self.low & (1 << 15) != 0
    }

    /// Which revision of the specification is implemented; not 0.
    #[must_use]
    pub const fn revision(self) -> u8 {
        self.low as u8
    }

    /// The PCI vendor ID of the maker.
    #[must_use]
    pub const fn vendor(self) -> u16 {
        (self.low >> 16) as u16
    }

    /// How many whole ticks `time_ns` nanoseconds are; `None` if they are more than fit.
    #[must_use]
    pub const fn ticks_of_ns(self, time_ns: u64) -> Option<u64> {
        match time_ns.checked_mul(1_000_000) {
            Some(time_fs) => time_fs.checked_div(self.period_fs as u64),
            None => None,
        }
    }
}
