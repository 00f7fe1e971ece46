// SPDX-License-Identifier: MIT OR Apache-2.0
//! RFLAGS.IF and the tick, of this CPU.

use crate::machine::{BEGINNING_US, current};

/// CLI. Returns whether interrupts were on.
pub fn disable() -> bool {
    let machine = current();
    machine.change_cpu(machine.this_cpu(), |cpu| std::mem::replace(&mut cpu.interrupts_on, false))
}

/// Restores the flag.
pub fn restore(were_on: bool) {
    let machine = current();
    machine.change_cpu(machine.this_cpu(), |cpu| cpu.interrupts_on = were_on);
}

/// Whether maskable interrupts are on.
pub fn are_on() -> bool {
    let machine = current();
    let cpu = machine.this_cpu();
    machine.with(|state| state.cpus[cpu].interrupts_on && state.cpus[cpu].nmi_depth == 0)
}

/// Stops this CPU's tick, and withdraws a pending one.
pub fn stop_tick() {
    let machine = current();
    machine.change_cpu(machine.this_cpu(), |cpu| {
        cpu.next_tick_us = None;
        cpu.tick_pending = false;
        cpu.tick_stopped = true;
    });
}

/// Starts this CPU's tick, if it is stopped: the next one comes a period from now.
pub fn start_tick() {
    let machine = current();
    let cpu = machine.this_cpu();
    let last_us = BEGINNING_US + machine.timing.horizon_us;
    machine.change(|state| {
        let next_us = state.now_us + machine.hardware.tick_period_us;
        let cpu = &mut state.cpus[cpu];
        cpu.tick_stopped = false;
        if cpu.next_tick_us.is_none() && next_us <= last_us {
            cpu.next_tick_us = Some(next_us);
        }
    });
}
