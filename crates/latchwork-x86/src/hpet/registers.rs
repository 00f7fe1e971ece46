// SPDX-License-Identifier: MIT OR Apache-2.0
//! Register offsets and bits (IA-PC HPET Specification 1.0a, 2.3).

pub(super) const CAPABILITIES: usize = 0x000;
pub(super) const PERIOD: usize = 0x004;
pub(super) const CONFIGURATION: usize = 0x010;
pub(super) const STATUS: usize = 0x020;
pub(super) const COUNTER_LOW: usize = 0x0F0;
pub(super) const COUNTER_HIGH: usize = 0x0F4;

pub(super) const CONFIGURATION_ENABLED: u32 = 1 << 0;
pub(super) const CONFIGURATION_LEGACY: u32 = 1 << 1;

pub(super) const TIMER_LEVEL: u32 = 1 << 1;
pub(super) const TIMER_INTERRUPT_ENABLED: u32 = 1 << 2;
pub(super) const TIMER_PERIODIC: u32 = 1 << 3;
pub(super) const TIMER_HAS_PERIODIC: u32 = 1 << 4;
pub(super) const TIMER_IS_64_BIT: u32 = 1 << 5;
pub(super) const TIMER_SET_ACCUMULATOR: u32 = 1 << 6;
pub(super) const TIMER_32_BIT_MODE: u32 = 1 << 8;
pub(super) const TIMER_PIN_SHIFT: u32 = 9;
pub(super) const TIMER_PIN: u32 = 0b1_1111 << TIMER_PIN_SHIFT;
pub(super) const TIMER_MESSAGE_ENABLED: u32 = 1 << 14;
pub(super) const TIMER_HAS_MESSAGE: u32 = 1 << 15;

/// The registers of one timer.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimerRegisters {
    pub(super) configuration: usize,
    pub(super) pins: usize,
    pub(super) comparator: usize,
    pub(super) message_data: usize,
    pub(super) message_address: usize,
}

impl TimerRegisters {
    /// The registers of timer `number`, which is below 24.
    pub(super) const fn of(number: u8) -> Self {
        let base = 0x100_usize.wrapping_add((number as usize) << 5);
        Self {
            configuration: base,
            pins: base | 0x04,
            comparator: base | 0x08,
            message_data: base | 0x10,
            message_address: base | 0x14,
        }
    }
}
