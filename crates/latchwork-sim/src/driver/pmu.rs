// SPDX-License-Identifier: MIT OR Apache-2.0
//! This CPU's performance counters.

use crate::{
    engine::{Access, hardware},
    machine::{Bell, Condition, Fact, PmuKind, current, pmu::bit},
};

/// How often a driver acknowledges while the status is set again.
const ROUNDS: u32 = 3;

/// What [`service`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serviced {
    /// A counter had overflowed, and the driver has acknowledged it.
    pub claimed: bool,
    /// A counter has overflowed again, and its PMI may be lost: ask again.
    pub again: bool,
}

/// RDMSR IA32_PERF_GLOBAL_STATUS.
pub fn read_status() -> u8 {
    let machine = current();
    let cpu = machine.this_cpu();
    hardware(Access::MsrRead, || machine.with(|state| state.cpus[cpu].pmu.status()))
}

/// WRMSR IA32_PERF_GLOBAL_STATUS_RESET.
pub fn acknowledge(bits: u8) {
    let machine = current();
    let cpu = machine.this_cpu();
    hardware(Access::MsrWrite, || {
        let cleared = machine.change_cpu(cpu, |cpu| cpu.pmu.acknowledge(bits));
        for bit in bit::ALL.into_iter().filter(|bit| cleared & bit != 0) {
            let condition = Condition::Counter { cpu, bit };
            machine.record(&Fact::Consumed { condition, cpu });
        }
        if cleared == 0 {
            machine.record(&Fact::FoundClear { bell: BELL, cpu });
        }
    });
}

/// Writes the entry of the local vector table with its mask flag clear.
pub fn unmask() {
    let machine = current();
    let cpu = machine.this_cpu();
    hardware(Access::X2apicWrite, || machine.change_cpu(cpu, |cpu| cpu.pmu.unmask()));
}

/// WRMSR IA32_PERF_GLOBAL_CTRL: stops the counters, or lets them go on.
pub fn stop_counters(stopped: bool) {
    let machine = current();
    let cpu = machine.this_cpu();
    hardware(Access::MsrWrite, || {
        machine.change_cpu(cpu, |cpu| cpu.pmu.stop_counters(stopped));
    });
}

/// Does all that a driver of the `own` bits does: it reads the status, stops the counters,
/// acknowledges what is set (a bounded number of times), unmasks the entry, reads the status again,
/// and lets the counters go on.
///
/// The driver does not acknowledge what the second read shows: an overflow before the unmasking
/// does not ring, and one after it does. Hence an entry that masks itself has one driver for all
/// bits. Of two drivers, one would acknowledge what has rung since the other unmasked.
pub fn service(own: u8) -> Serviced {
    let mut status = read_status() & own;
    if status == 0 {
        return Serviced { claimed: false, again: false };
    }
    let masks = current().hardware.pmu == PmuKind::Masking;
    stop_counters(true);
    for _ in 0..ROUNDS {
        acknowledge(status);
        status = read_status() & own;
        if status == 0 {
            break;
        }
    }
    if masks {
        unmask();
        status = read_status();
    }
    stop_counters(false);
    Serviced { claimed: true, again: status != 0 }
}

/// The doorbell.
pub const BELL: Bell = Bell::Lvt;
