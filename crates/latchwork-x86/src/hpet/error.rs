// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an HPET cannot do.

use core::fmt;

/// Why an HPET was not programmed as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HpetError {
    /// The period of the counter is 0 or more than 100 ns, which the specification forbids: there
    /// is no HPET at this address.
    NotThere {
        /// The period register, in femtoseconds.
        period_fs: u32,
    },
    /// There is no such timer.
    NoSuchTimer {
        /// The timer.
        timer: u8,
        /// The highest one that there is.
        max_timer: u8,
    },
    /// The timer cannot be wired to this I/O APIC pin.
    PinNotRoutable {
        /// The timer.
        timer: u8,
        /// The pin.
        pin: u8,
        /// The pins that are possible, bit n for pin n.
        pins: u32,
    },
    /// The timer's interrupt stays disconnected from the pin, though it claims to reach it.
    PinNotAccepted {
        /// The timer.
        timer: u8,
        /// The pin that was asked for.
        pin: u8,
        /// The pin that reads back.
        reads_back: u8,
    },
    /// Legacy replacement routes timers 0 and 1, so they can have no other output. The
    /// specification contradicts itself on whether messages are an exception (no in 2.3.5, yes in
    /// 2.4.2.3).
    LegacyReplacementOn,
    /// Legacy replacement is off, or the timer is not one of those that it routes, 0 and 1.
    LegacyReplacementOff,
    /// This HPET has no legacy replacement.
    NoLegacyReplacement,
    /// The timer cannot send messages.
    NoMessages {
        /// The timer.
        timer: u8,
    },
    /// The timer cannot be periodic.
    NotPeriodic {
        /// The timer.
        timer: u8,
    },
    /// The time is 0 or more than [`MAX_TICKS`](super::MAX_TICKS).
    OutOfRange {
        /// The time that was asked for.
        ticks: u32,
    },
    /// The counter is halted, so a one-shot timer would never fire.
    CounterHalted,
    /// The counter runs, so it cannot be set.
    CounterRuns,
    /// The counter had reached the time before the driver knew that the timer was set. If its
    /// output is an edge or a message, or a handler has acknowledged it already, it may have fired
    /// once. The driver has stopped it.
    TooLate {
        /// The time that was asked for.
        ticks: u32,
        /// How long setting it took.
        took_ticks: u32,
    },
}

impl fmt::Display for HpetError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotThere { period_fs } => {
                write!(formatter, "no HPET: a counter period of {period_fs} fs is impossible")
            }
            Self::NoSuchTimer { timer, max_timer } => {
                write!(formatter, "this HPET has no timer {timer}; its last one is {max_timer}")
            }
            Self::PinNotRoutable { timer, pin, pins } => write!(
                formatter,
                "HPET timer {timer} cannot be wired to I/O APIC pin {pin}; possible pins are the \
                 bits of {pins:#010x}"
            ),
            Self::PinNotAccepted { timer, pin, reads_back } => write!(
                formatter,
                "HPET timer {timer} was wired to I/O APIC pin {pin}, but says pin {reads_back}"
            ),
            Self::LegacyReplacementOn => formatter.write_str(
                "HPET timers 0 and 1 have no other output while legacy replacement is on",
            ),
            Self::LegacyReplacementOff => formatter
                .write_str("HPET legacy replacement is off, or does not concern this timer"),
            Self::NoLegacyReplacement => formatter.write_str("this HPET has no legacy replacement"),
            Self::NoMessages { timer } => {
                write!(formatter, "HPET timer {timer} cannot send messages")
            }
            Self::NotPeriodic { timer } => {
                write!(formatter, "HPET timer {timer} cannot be periodic")
            }
            Self::OutOfRange { ticks } => write!(
                formatter,
                "an HPET timer cannot be set to {ticks} ticks; 1 to {} are possible",
                super::MAX_TICKS
            ),
            Self::CounterHalted => formatter.write_str("the HPET's counter is halted"),
            Self::CounterRuns => {
                formatter.write_str("the HPET's counter cannot be set while it runs")
            }
            Self::TooLate { ticks, took_ticks } => write!(
                formatter,
                "HPET timer was set to fire in {ticks} ticks, but setting it took {took_ticks}"
            ),
        }
    }
}

impl core::error::Error for HpetError {}
