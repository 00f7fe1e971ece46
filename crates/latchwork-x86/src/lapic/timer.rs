// SPDX-License-Identifier: MIT OR Apache-2.0
//! The APIC timer (SDM Vol. 3A, "APIC Timer").

use super::registers::Register;
use super::{Access, Lapic};

/// What the timer does when its count reaches 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerMode {
    /// It stops.
    OneShot,
    /// It starts again from the initial count.
    Periodic,
}

/// By what the timer's clock is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each name says the number")]
pub enum Divider {
    By1,
    By2,
    By4,
    By8,
    By16,
    By32,
    By64,
    By128,
}

impl Divider {
    /// Bits 3, 1 and 0 of the divide configuration register.
    const fn encoding(self) -> u32 {
        match self {
            Self::By2 => 0b0000,
            Self::By4 => 0b0001,
            Self::By8 => 0b0010,
            Self::By16 => 0b0011,
            Self::By32 => 0b1000,
            Self::By64 => 0b1001,
            Self::By128 => 0b1010,
            Self::By1 => 0b1011,
        }
    }
}

impl<A: Access> Lapic<A> {
    /// Starts the timer: it counts down from `initial_count`, one for every tick of its divided
    /// clock. 0 stops it.
    ///
    /// [`set_timer`](Self::set_timer) chooses what happens at 0.
    pub fn start_timer(&self, divider: Divider, initial_count: u32) {
        self.access.write(Register::TimerDivide, divider.encoding());
        self.access.write(Register::TimerInitialCount, initial_count);
    }

    /// Stops the timer.
    pub fn stop_timer(&self) {
        self.access.write(Register::TimerInitialCount, 0);
    }

    /// The count that is left; 0 if the timer is stopped.
    #[must_use]
    pub fn timer_count(&self) -> u32 {
        self.access.read(Register::TimerCurrentCount)
    }
}
