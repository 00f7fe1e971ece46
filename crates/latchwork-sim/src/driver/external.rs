// SPDX-License-Identifier: MIT OR Apache-2.0
//! External devices.

use super::{read, write};
use crate::machine::{Bell, Condition, Fact, Route, current};

/// Reads the status of external device `index`.
pub fn read_status(index: u8) -> bool {
    let machine = current();
    let kind = machine.hardware.externals[usize::from(index)];
    if index == 0 {
        machine.count_external_read();
    }
    read(kind.bus, || machine.with(|state| state.externals[usize::from(index)].status()))
}

/// Clears the status of external device `index`.
pub fn acknowledge(index: u8) {
    let machine = current();
    let cpu = machine.this_cpu();
    let kind = machine.hardware.externals[usize::from(index)];
    write(kind.bus, || {
        if machine.change(|state| state.externals[usize::from(index)].acknowledge()) {
            let condition = Condition::External(index);
            machine.record(&Fact::Consumed { condition, cpu });
        } else {
            machine.record(&Fact::FoundClear { bell: Bell::External(index), cpu });
        }
    });
}

/// Reads the status of external device `index`, and acknowledges it if it is set. Returns whether
/// it was set.
pub fn service(index: u8) -> bool {
    let is_set = read_status(index);
    if is_set {
        acknowledge(index);
    }
    is_set
}

/// Masks or unmasks the route of external device `index`, in its I/O APIC entry.
pub fn set_masked(index: u8, masked: bool) {
    let machine = current();
    let kind = machine.hardware.externals[usize::from(index)];
    write(kind.bus, || {
        machine.change(|state| state.externals[usize::from(index)].set_masked(masked));
    });
}

/// Sets whom external device `index` rings, in its I/O APIC entry.
pub fn set_route(index: u8, route: Route) {
    let machine = current();
    let kind = machine.hardware.externals[usize::from(index)];
    write(kind.bus, || {
        machine.change(|state| state.externals[usize::from(index)].set_route(route));
    });
}

/// The doorbell of external device `index`.
pub fn bell(index: u8) -> Bell {
    Bell::External(index)
}
