// SPDX-License-Identifier: MIT OR Apache-2.0
//! Port 0x61, and port 0x70 bit 7.

use crate::{
    engine::{Access, hardware},
    machine::{Bell, Condition, Fact, current, port61::bit},
};

/// How often a driver goes round as long as a status is set.
const ROUNDS: u32 = 3;

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
    });
}

/// Port 0x70 bit 7, set and cleared: what is still asserted rings anew.
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

/// Both bits of one reading, cleared by pulsing; and again, bounded, until the line is down: only then a
/// new edge comes. Says whether something was there.
pub fn service() -> bool {
    let mut claimed = false;
    for _ in 0..ROUNDS {
        let status = read();
        let mut off = 0;
        if status & bit::SERR != 0 {
            off |= bit::SERR_OFF;
        }
        if status & bit::IOCHK != 0 {
            off |= bit::IOCHK_OFF;
        }
        if off == 0 {
            break;
        }
        write(off);
        write(0);
        claimed = true;
    }
    claimed
}

/// The doorbell.
pub const BELL: Bell = Bell::Port61;
