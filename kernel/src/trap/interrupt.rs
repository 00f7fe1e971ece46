// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maskable interrupts: the tick, what CPUs send each other and themselves, and the APIC's own.

use crate::cpu::area::{self, add_one};
use crate::nmi::NMI;
use crate::paging::shootdown;
use crate::{apic, tick};

/// Vectors below this one belong to exceptions.
pub(crate) const FIRST_MASKABLE: u8 = 32;

/// The vectors in use. Higher ones have priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Vector {
    /// The periodic timer of each CPU.
    Tick = 0xe0,
    /// A job or a wake-up, from another CPU or from this one.
    Wake = 0xf0,
    /// Pages are gone: drop what this CPU remembers of them.
    Shootdown = 0xf1,
    /// The NMI subsystem has work for this CPU.
    NmiWork = 0xf2,
    /// The local APIC found an error.
    Error = 0xfe,
    /// The local APIC withdrew an interrupt.
    Spurious = 0xff,
}

const TICK: u8 = Vector::Tick as u8;
const WAKE: u8 = Vector::Wake as u8;
const SHOOTDOWN: u8 = Vector::Shootdown as u8;
const NMI_WORK: u8 = Vector::NmiWork as u8;
const ERROR: u8 = Vector::Error as u8;
const SPURIOUS: u8 = Vector::Spurious as u8;

/// Handles a maskable interrupt, with interrupts off.
pub(super) fn handle(vector: u8) {
    let Some((cpu, area)) = area::current_cpu().and_then(|cpu| Some((cpu, area::of(cpu)?))) else {
        panic!("interrupt {vector:#x} on a CPU without a number");
    };
    match vector {
        TICK => {
            tick::take(cpu, area);
            apic::end_of_interrupt();
        }
        WAKE => {
            add_one(&area.wakes);
            apic::end_of_interrupt();
        }
        SHOOTDOWN => {
            shootdown::answer();
            apic::end_of_interrupt();
        }
        NMI_WORK => {
            NMI.run_work();
            apic::end_of_interrupt();
        }
        ERROR => panic!("the local APIC of CPU {cpu} reports errors: {:?}", apic::errors()),
        // A spurious interrupt is not in service, so it is not ended (SDM Vol. 3A, "Spurious
        // Interrupt").
        SPURIOUS => {}
        other => panic!("nobody handles interrupt {other:#x}, taken by CPU {cpu}"),
    }
}
