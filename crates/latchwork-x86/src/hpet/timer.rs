// SPDX-License-Identifier: MIT OR Apache-2.0
//! The timers of an HPET (IA-PC HPET Specification 1.0a, 2.3.8 and 2.4).
//!
//! The driver runs every timer in 32-bit mode. A 64-bit comparator takes two writes, between which
//! it may match at a time that the caller did not ask for.

use super::registers::{
    TIMER_32_BIT_MODE, TIMER_HAS_MESSAGE, TIMER_HAS_PERIODIC, TIMER_INTERRUPT_ENABLED,
    TIMER_IS_64_BIT, TIMER_LEVEL, TIMER_MESSAGE_ENABLED, TIMER_PERIODIC, TIMER_PIN,
    TIMER_PIN_SHIFT, TIMER_SET_ACCUMULATOR, TimerRegisters,
};
use super::{Hpet, HpetError, Trigger};
use crate::hw::Mmio;
use crate::msi::Message;

/// The longest time that a timer can be set to, in ticks of the counter: 21 s at 100 MHz.
pub const MAX_TICKS: u32 = u32::MAX >> 1;

/// Where the interrupt of a timer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// To an I/O APIC pin: one of [`TimerCapabilities::pins`].
    Pin {
        /// The number of the pin.
        pin: u8,
        /// What the line does: with [`Trigger::Level`], it is active until somebody clears the
        /// status bit; with [`Trigger::Edge`], for a moment. The I/O APIC entry has a trigger mode
        /// of its own.
        trigger: Trigger,
    },
    /// To the pin of the PIT (timer 0) or of the RTC (timer 1), while legacy replacement is on.
    Legacy {
        /// As for [`Pin`](Self::Pin).
        trigger: Trigger,
    },
    /// To a CPU, as a message. There is no status bit.
    Message(Message),
}

/// What a timer can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerCapabilities {
    low: u32,
    pins: u32,
}

impl TimerCapabilities {
    /// Whether it can be periodic.
    #[must_use]
    pub const fn has_periodic(self) -> bool {
        self.low & TIMER_HAS_PERIODIC != 0
    }

    /// Whether its comparator has 64 bits, not 32.
    #[must_use]
    pub const fn is_64_bit(self) -> bool {
        self.low & TIMER_IS_64_BIT != 0
    }

    /// Whether it can send messages ("FSB interrupt delivery").
    #[must_use]
    pub const fn has_messages(self) -> bool {
        self.low & TIMER_HAS_MESSAGE != 0
    }

    /// The I/O APIC pins to which it can be wired, bit n for pin n.
    #[must_use]
    pub const fn pins(self) -> u32 {
        self.pins
    }

    /// Whether it can be wired to `pin`.
    #[must_use]
    pub const fn reaches_pin(self, pin: u8) -> bool {
        match self.pins.checked_shr(pin as u32) {
            Some(pins) => pins & 1 != 0,
            None => false,
        }
    }
}

impl<M: Mmio> Hpet<M> {
    /// What `timer` can do. NMI-safe.
    ///
    /// # Errors
    ///
    /// [`HpetError::NoSuchTimer`].
    pub fn timer_capabilities(&self, timer: u8) -> Result<TimerCapabilities, HpetError> {
        let registers = self.timer(timer)?;
        Ok(TimerCapabilities {
            low: self.read(registers.configuration),
            pins: self.read(registers.pins),
        })
    }

    /// Stops `timer`, clears its status and sets where its interrupt goes.
    ///
    /// # Errors
    ///
    /// [`HpetError::NoSuchTimer`], [`HpetError::PinNotRoutable`],
    /// [`HpetError::LegacyReplacementOn`], [`HpetError::LegacyReplacementOff`],
    /// [`HpetError::NoMessages`]: the timer was not touched. [`HpetError::PinNotAccepted`]: it is
    /// stopped.
    pub fn set_output(&self, timer: u8, output: Output) -> Result<(), HpetError> {
        let registers = self.timer(timer)?;
        let bits = self.output_bits(timer, output)?;
        self.stop(timer)?;
        self.acknowledge(timer);
        if let Output::Message(message) = output {
            self.write(registers.message_data, u32::from(message.data()));
            self.write(registers.message_address, message.address());
        }
        // Only pins that the timer reaches may be written, so one that has no effect stays as it
        // is.
        let pin = if let Output::Pin { .. } = output { TIMER_PIN } else { 0 };
        let others = self.read(registers.configuration)
            & !(TIMER_LEVEL | pin | TIMER_MESSAGE_ENABLED | TIMER_SET_ACCUMULATOR);
        self.write(registers.configuration, others | bits);
        // If the output was no level before, the bit may show an old expiry.
        self.acknowledge(timer);
        let Output::Pin { pin, .. } = output else { return Ok(()) };
        let reads_back = (self.read(registers.configuration) & TIMER_PIN) >> TIMER_PIN_SHIFT;
        if reads_back != u32::from(pin) {
            let reads_back = reads_back as u8;
            return Err(HpetError::PinNotAccepted { timer, pin, reads_back });
        }
        Ok(())
    }

    /// Lets `timer` fire once, `ticks` from now. Clears a status that is still set first.
    ///
    /// The timer fires again whenever the lower 32 bits of the counter come to the same value,
    /// every 2³² ticks, until the driver stops it or sets it anew.
    ///
    /// # Errors
    ///
    ///  - [`HpetError::NoSuchTimer`], [`HpetError::OutOfRange`], [`HpetError::CounterHalted`]: the
    ///    timer was not touched.
    ///  - [`HpetError::TooLate`]: the timer is stopped, and has no status set. A timer fires when
    ///    the counter *equals* its comparator, so one that is set too late would wait for the
    ///    counter to wrap.
    pub fn start_one_shot(&self, timer: u8, ticks: u32) -> Result<(), HpetError> {
        let registers = self.timer(timer)?;
        in_range(ticks)?;
        if !self.is_running() {
            return Err(HpetError::CounterHalted);
        }
        self.stop(timer)?;
        let stopped =
            self.read(registers.configuration) & !(TIMER_PERIODIC | TIMER_SET_ACCUMULATOR);
        self.write(registers.configuration, stopped | TIMER_32_BIT_MODE);
        let start = self.read(super::COUNTER_LOW);
        self.write(registers.comparator, start.wrapping_add(ticks));
        self.acknowledge(timer);
        self.write(registers.configuration, stopped | TIMER_32_BIT_MODE | TIMER_INTERRUPT_ENABLED);
        let took_ticks = self.read(super::COUNTER_LOW).wrapping_sub(start);
        if took_ticks >= ticks && !self.is_pending(timer) {
            self.stop(timer)?;
            return Err(HpetError::TooLate { ticks, took_ticks });
        }
        Ok(())
    }

    /// Lets `timer` fire every `ticks`, for the first time `ticks` from now. Clears a status that
    /// is still set first.
    ///
    /// Halts the counter for the few register accesses that this takes, as the specification asks,
    /// and lets it run on if it ran. So a clock that counts by it loses about a microsecond, and
    /// *another* timer's level that nobody has acknowledged yet rings once more
    /// ([`halt`](Self::halt)). If the counter does not run, the timer starts together with it.
    ///
    /// # Errors
    ///
    /// [`HpetError::NoSuchTimer`], [`HpetError::NotPeriodic`], [`HpetError::OutOfRange`]. The timer
    /// was not touched.
    pub fn start_periodic(&self, timer: u8, ticks: u32) -> Result<(), HpetError> {
        let registers = self.timer(timer)?;
        if !self.timer_capabilities(timer)?.has_periodic() {
            return Err(HpetError::NotPeriodic { timer });
        }
        in_range(ticks)?;
        self.stop(timer)?;
        let was_running = self.is_running();
        if was_running {
            self.halt();
        }
        let periodic = self.read(registers.configuration) | TIMER_PERIODIC | TIMER_32_BIT_MODE;
        self.write(registers.configuration, periodic | TIMER_SET_ACCUMULATOR);
        // The first write goes to the accumulator, the next expiry, and clears the bit that makes
        // it go there; some chipsets take it as the period, too. The second one is the period.
        let first = self.read(super::COUNTER_LOW).wrapping_add(ticks);
        self.write(registers.comparator, first);
        self.write(registers.comparator, ticks);
        self.acknowledge(timer);
        let armed = (periodic & !TIMER_SET_ACCUMULATOR) | TIMER_INTERRUPT_ENABLED;
        self.write(registers.configuration, armed);
        if was_running {
            self.start();
        }
        Ok(())
    }

    /// Keeps `timer` from raising interrupts. Its output stays as it is set, and so does its
    /// status: an NMI that it has raised may still be on its way, and its handler then finds the
    /// condition.
    ///
    /// # Errors
    ///
    /// [`HpetError::NoSuchTimer`].
    pub fn stop(&self, timer: u8) -> Result<(), HpetError> {
        let registers = self.timer(timer)?;
        let configuration = self.read(registers.configuration);
        self.write(
            registers.configuration,
            configuration & !(TIMER_INTERRUPT_ENABLED | TIMER_SET_ACCUMULATOR),
        );
        Ok(())
    }

    pub(super) fn timer(&self, timer: u8) -> Result<TimerRegisters, HpetError> {
        let max_timer = self.capabilities.max_timer();
        if timer <= max_timer {
            Ok(TimerRegisters::of(timer))
        } else {
            Err(HpetError::NoSuchTimer { timer, max_timer })
        }
    }

    fn output_bits(&self, timer: u8, output: Output) -> Result<u32, HpetError> {
        let capabilities = self.timer_capabilities(timer)?;
        let legacy = timer < 2 && self.legacy_replacement();
        match output {
            Output::Pin { .. } | Output::Message(_) if legacy => {
                Err(HpetError::LegacyReplacementOn)
            }
            Output::Legacy { .. } if !legacy => Err(HpetError::LegacyReplacementOff),
            Output::Message(_) if !capabilities.has_messages() => {
                Err(HpetError::NoMessages { timer })
            }
            Output::Pin { pin, .. } if !capabilities.reaches_pin(pin) => {
                Err(HpetError::PinNotRoutable { timer, pin, pins: capabilities.pins() })
            }
            Output::Pin { pin, trigger } => {
                Ok(level_bit(trigger) | u32::from(pin) << TIMER_PIN_SHIFT)
            }
            Output::Legacy { trigger } => Ok(level_bit(trigger)),
            Output::Message(_) => Ok(TIMER_MESSAGE_ENABLED),
        }
    }
}

const fn level_bit(trigger: Trigger) -> u32 {
    match trigger {
        Trigger::Edge => 0,
        Trigger::Level => TIMER_LEVEL,
    }
}

fn in_range(ticks: u32) -> Result<(), HpetError> {
    if (1..=MAX_TICKS).contains(&ticks) { Ok(()) } else { Err(HpetError::OutOfRange { ticks }) }
}
