// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the environment may do, and how the engine's events code it.

use std::fmt;

use super::Bell;
use crate::engine::Event;

/// Something that a scenario lets the environment do, a number of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A counter of this CPU overflows, or its trace buffer is full.
    Overflow {
        /// Whose.
        cpu: usize,
        /// Its bit in the status.
        bit: u8,
    },
    /// This external device has an event.
    Assert(u8),
    /// A bus asserts this status bit of port 0x61.
    AssertPort61(u8),
    /// A source without status rings.
    Press,
    /// An SMI comes to this CPU.
    Smi {
        /// Which.
        cpu: usize,
        /// Its handler executes IRET, so RSM leaves NMIs unblocked.
        unblocks: bool,
    },
    /// The NMI handler that this CPU is in faults, and the fault's IRET unblocks NMIs.
    Fault(usize),
    /// This virtual CPU does not run for a while.
    Stall(usize),
    /// This CPU executes nothing any more and takes no NMI, wherever it is: in a handler that never
    /// returns, in a poll, in a send.
    Hang(usize),
    /// A CPU that was [absent](super::Hardware::absent) is started.
    Start(usize),
    /// The next ring that this CPU's kernel makes is not sent.
    RingFails(usize),
    /// The kernel on this CPU leaves out the next call that it need not make.
    Forget(usize),
    /// The clock of this CPU steps, forwards or back.
    ClockSteps {
        /// Whose.
        cpu: usize,
        /// In microseconds.
        by_us: i64,
    },
    /// Time passes although some CPU executes instructions: to the next thing that is due, or by
    /// the scenario's step.
    Hurry,
    /// Where no CPU executes anything, time passes by the scenario's step instead of to the next
    /// thing that is due.
    Step,
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overflow { cpu, bit } => write!(f, "overflow {bit:#x} on CPU {cpu}"),
            Self::Assert(index) => write!(f, "external {index} asserts"),
            Self::AssertPort61(bit) => write!(f, "port 0x61 bit {bit:#x} asserts"),
            Self::Press => f.write_str("true unknown rings"),
            Self::Smi { cpu, unblocks: false } => write!(f, "SMI on CPU {cpu}"),
            Self::Smi { cpu, unblocks: true } => write!(f, "SMI with IRET on CPU {cpu}"),
            Self::Fault(cpu) => write!(f, "fault in the handler on CPU {cpu}"),
            Self::Stall(cpu) => write!(f, "CPU {cpu} stalls"),
            Self::Hang(cpu) => write!(f, "CPU {cpu} hangs"),
            Self::Start(cpu) => write!(f, "CPU {cpu} is started"),
            Self::RingFails(cpu) => write!(f, "the next ring by CPU {cpu} will fail"),
            Self::Forget(cpu) => write!(f, "the kernel on CPU {cpu} will forget a call"),
            Self::ClockSteps { cpu, by_us } => write!(f, "clock of CPU {cpu} steps by {by_us} us"),
            Self::Hurry => f.write_str("time may pass while somebody runs"),
            Self::Step => f.write_str("time may pass by a step"),
        }
    }
}

/// What an engine's event stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurrence {
    /// The oldest edge of that doorbell lands at that CPU.
    Land(usize, Bell),
    /// Time passes to the next thing that is due.
    Pass,
    /// Time passes by the scenario's step.
    PassStep,
    /// That CPU's SMI is over.
    EndSmi(usize),
    /// That virtual CPU runs again.
    EndStall(usize),
    /// The happening at this place of the scenario's list.
    Happens(usize),
}

const KIND_SHIFT: u32 = 24;
const FIRST_SHIFT: u32 = 8;
const FIRST_MASK: u32 = 0xffff;
const SECOND_MASK: u32 = 0xff;

impl Occurrence {
    /// As an event.
    pub fn event(self) -> Event {
        let (kind, first, second) = match self {
            Self::Land(cpu, bell) => (0, cpu, bell.number()),
            Self::Pass => (1, 0, 0),
            Self::PassStep => (2, 0, 0),
            Self::EndSmi(cpu) => (3, cpu, 0),
            Self::EndStall(cpu) => (4, cpu, 0),
            Self::Happens(place) => (5, place, 0),
        };
        Event(kind << KIND_SHIFT | (first as u32) << FIRST_SHIFT | second)
    }

    /// Decodes an event that [`event`](Self::event) made.
    pub fn of(event: Event) -> Self {
        let first = (event.0 >> FIRST_SHIFT & FIRST_MASK) as usize;
        let second = event.0 & SECOND_MASK;
        match event.0 >> KIND_SHIFT {
            0 => Self::Land(first, Bell::of_number(second)),
            1 => Self::Pass,
            2 => Self::PassStep,
            3 => Self::EndSmi(first),
            4 => Self::EndStall(first),
            _ => Self::Happens(first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_occurrence_comes_back_from_its_event() {
        for occurrence in [
            Occurrence::Land(255, Bell::External(3)),
            Occurrence::Pass,
            Occurrence::PassStep,
            Occurrence::EndSmi(1),
            Occurrence::EndStall(2),
            Occurrence::Happens(7),
        ] {
            assert_eq!(Occurrence::of(occurrence.event()), occurrence);
        }
    }
}
