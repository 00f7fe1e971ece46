// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sending interrupts.

use crate::{
    engine::{self, Access, hardware},
    machine::{Apic, Bell, Doing, Fact, Machine, current},
};

/// How often a send reads the delivery status before it gives up.
const IDLE_READS: u32 = 8;

/// Sends an NMI to `to`, from any context. Earlier stores are visible there when `to` takes it.
/// Returns whether it was sent.
pub fn send_nmi(to: usize) -> bool {
    let machine = current();
    match machine.hardware.apic {
        Apic::X2 => {
            // The WRMSR of an x2APIC register is not serialising.
            engine::memory_fence();
            take_time(machine);
            hardware(Access::X2apicWrite, || {
                let sends = !fails(machine);
                if sends {
                    rings(machine, to);
                }
                sends
            })
        }
        Apic::X => send_by_two_halves(machine, to),
    }
}

/// A CPU that is slow to ring, as a virtual one is that exits for it.
fn take_time(machine: &Machine) {
    if machine.timing.ring_us != 0 {
        let until_us = machine.with(|state| state.now_us) + machine.timing.ring_us;
        machine.remain(machine.this_cpu(), Doing::Busy { until_us });
    }
}

/// Whether this ring is one of those that are not sent. Then it is spent.
fn fails(machine: &Machine) -> bool {
    let cpu = machine.this_cpu();
    let fails = machine.with(|state| state.cpus[cpu].rings_to_fail != 0);
    if fails {
        machine.change_cpu(cpu, |cpu| cpu.rings_to_fail -= 1);
    }
    fails
}

/// Sends by the two halves of the ICR. The calling code may be in an NMI that interrupted another
/// such send, so this function leaves the upper half as it found it, and the delivery status idle.
fn send_by_two_halves(machine: &'static Machine, to: usize) -> bool {
    let cpu = machine.this_cpu();
    if !becomes_idle(machine, cpu) {
        return false;
    }
    let interrupted_high =
        hardware(Access::UncachedRead, || machine.with(|state| state.cpus[cpu].icr.read_high()));
    write_high(machine, cpu, to as u8);
    let sent = hardware(Access::UncachedWrite, || {
        let written = machine.change_cpu(cpu, |cpu| cpu.icr.write_low());
        written.is_ok_and(|destination| {
            rings(machine, usize::from(destination));
            true
        })
    });
    let idle = becomes_idle(machine, cpu);
    write_high(machine, cpu, interrupted_high);
    sent && idle
}

fn write_high(machine: &'static Machine, cpu: usize, destination: u8) {
    hardware(Access::UncachedWrite, || {
        machine.change_cpu(cpu, |cpu| cpu.icr.write_high(destination));
    });
}

fn becomes_idle(machine: &'static Machine, cpu: usize) -> bool {
    (0..IDLE_READS).any(|_| {
        !hardware(Access::UncachedRead, || machine.change_cpu(cpu, |cpu| cpu.icr.read_busy()))
    })
}

/// Sets the edge on its way, after the write to the ICR.
fn rings(machine: &Machine, to: usize) {
    let from = machine.this_cpu();
    machine.change(|state| {
        let (now_us, delivery_us) = (state.now_us, machine.hardware.delivery_us);
        let send = state.sends.iter().rfind(|send| send.from == from && send.to == to);
        let is_late =
            send.is_some_and(|send| now_us + delivery_us >= send.began_us + machine.timing.hold_us);
        let bell = if is_late { Bell::LateSoftware } else { Bell::Software };
        state.ring(to, bell, delivery_us);
    });
    machine.record(&Fact::SendRang { to });
}

/// Sends the maskable interrupt for deferred work to `to`. It may collapse with one that is
/// pending.
pub fn send_work_interrupt(to: usize) {
    engine::memory_fence();
    hardware(Access::X2apicWrite, || {
        current().change_cpu(to, |cpu| cpu.work_pending = true);
    });
}
