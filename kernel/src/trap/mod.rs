// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts and exceptions other than the NMI.

pub(crate) mod exception;
pub(crate) mod gate;
mod interrupt;
pub(crate) mod stubs;

pub(crate) use interrupt::{FIRST_MASKABLE, Vector};

use gate::Gate;
use stubs::TrapFrame;

use crate::cpu::stacks::Ist;
use crate::nmi;

const DEBUG: u8 = 1;
const NMI: u8 = 2;
const DOUBLE_FAULT: u8 = 8;
const MACHINE_CHECK: u8 = 18;

/// The gate of `vector`. Every vector has one, and every gate a stack of the interrupt stack table.
pub(crate) fn gate_of(vector: u8) -> Gate {
    let ist = match vector {
        NMI => return Gate::new(nmi::entry::address(), Ist::Nmi),
        DEBUG => Ist::Debug,
        DOUBLE_FAULT => Ist::DoubleFault,
        MACHINE_CHECK => Ist::MachineCheck,
        ..FIRST_MASKABLE => Ist::Exception,
        FIRST_MASKABLE.. => Ist::Interrupt,
    };
    Gate::new(stubs::address(vector), ist)
}

/// The entry code calls it with interrupts off.
extern "C" fn enter(frame: &mut TrapFrame) {
    let vector = (frame.vector & 0xff) as u8;
    if vector < FIRST_MASKABLE {
        exception::handle(vector, frame);
    } else {
        interrupt::handle(vector);
    }
}
