// SPDX-License-Identifier: MIT OR Apache-2.0
//! Port 0x61, and port 0x70 bit 7.

use crate::{
    engine::{Access, hardware},
    machine::{Bell, Condition, Fact, current, port61::bit},
};

/// IN.
pub fn read() -> u8 {
    let machine = current();
    hardware(Access::PortRead, || machine.with(|state| state.port61.read()))
}

/// IN, and of that the status bits.
pub fn read_status() -> u8 {
    read() & (bit::SERR | bit::IOCHK)
}

/// OUT.
pub fn write(value: u8) {
    let machine = current();
    let cpu = machine.this_cpu();
    hardware(Access::PortWrite, || {
        let cleared = machine.change(|state| state.port61.write(value));
        for bit in [bit::SERR, bit::IOCHK].into_iter().filter(|bit| cleared & bit != 0) {
            let condition = Condition::Port61(bit);
            machine.record(&Fact::Consumed { condition, cpu });
        }
        if cleared == 0 && value & (bit::SERR_OFF | bit::IOCHK_OFF) != 0 {
            machine.record(&Fact::FoundClear { bell: BELL, cpu });
        }
    });
}

/// Sets and clears port 0x70 bit 7, so that a source that is still asserted rings again.
pub fn toggle_enable() {
    let machine = current();
    hardware(Access::PortWrite, || {
        machine.change(|state| {
            if state.port61.toggle_enable() {
                state.ring_port61(&machine.hardware);
            }
        });
    });
}

/// What [`service`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serviced {
    /// A status was set, and the driver has cleared it.
    pub claimed: bool,
    /// A status is set again, or still. If the line has not been down in between, no edge will come
    /// for it.
    pub again: bool,
}

/// Reads both status bits, clears those that are set by a pulse, and reads the port again.
pub fn service() -> Serviced {
    let status = read_status();
    if status == 0 {
        return Serviced { claimed: false, again: false };
    }
    let mut off = 0;
    if status & bit::SERR != 0 {
        off |= bit::SERR_OFF;
    }
    if status & bit::IOCHK != 0 {
        off |= bit::IOCHK_OFF;
    }
    write(off);
    write(0);
    Serviced { claimed: true, again: read_status() != 0 }
}

/// The doorbell.
pub const BELL: Bell = Bell::Port61;
