// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this kernel provides to the library.

use latchwork::{
    AbsorbedNmi, AfterLeave, Fatal, InterruptState, NmiContext, Platform, RingError, Storm,
    StormSource, UnknownNmi,
};
use x86_64::instructions::interrupts;

use super::parking;
use super::port_61;
use super::reports::{self, Readable};
use super::steps;
use crate::cpu::{self, area};
use crate::exit::{Ending, exit};
use crate::{apic, console, record, tick, time};

/// The machine as the library sees it. All state is in statics, so that NMIs reach it without a
/// pointer.
#[derive(Debug)]
pub(crate) struct Machine;

// SAFETY:
//  1. A CPU's number is read through its own GS base, which is set each time that it starts and
//     always to the same area; threads do not migrate.
//  2. A CPU leaves NMI context by returning from `dispatch` to the entry code, or never, or by
//     INIT: then the kernel tells the library before it starts the CPU again.
//  3. Threads are bound to their CPU, and CLI keeps maskable interrupts out.
//  4. `fatal` ends the machine.
//  5. No method takes a lock: `ring` waits a bounded time for the APIC, reports go through per-CPU
//     queues, and the last words use a path of their own.
unsafe impl Platform for Machine {
    #[inline(always)]
    fn current_cpu(&self) -> Option<usize> {
        area::current_cpu()
    }

    #[inline(always)]
    fn now_ticks(&self) -> u64 {
        time::now_ticks()
    }

    fn ticks_per_ms(&self) -> u64 {
        time::ticks_per_ms()
    }

    fn ring(&self, cpu: usize) -> Result<(), RingError> {
        steps::before_ring(cpu);
        apic::send_nmi(cpu)
    }

    fn disable_interrupts(&self) -> InterruptState {
        let state = InterruptState(usize::from(cpu::interrupts_off()));
        steps::step();
        state
    }

    unsafe fn restore_interrupts(&self, state: InterruptState) {
        steps::step();
        cpu::interrupts_restore(state.0 != 0);
    }

    fn relax(&self) {
        steps::step();
        core::hint::spin_loop();
    }

    fn interrupt_for_work(&self, cpu: usize) {
        apic::send_nmi_work(cpu);
    }

    fn interrupts_are_on(&self) -> bool {
        interrupts::are_enabled()
    }

    fn restart_tick(&self) {
        tick::restart();
    }

    fn report_unknown(&self, report: &UnknownNmi) {
        reports::push(Readable::Unknown { unknown: *report, port_61: port_61::status() });
    }

    fn report_absorbed(&self, report: &AbsorbedNmi) {
        reports::push(Readable::Absorbed(*report));
    }

    fn storm_began(&self, storm: &Storm) {
        let masking = match storm.source {
            StormSource::Unclaimed { .. } => Some(port_61::mask_active()),
            _ => None,
        };
        reports::push(Readable::Storm { storm: *storm, masking });
    }

    fn storm_ended(&self, storm: &Storm) {
        if let StormSource::Unclaimed { .. } = storm.source {
            port_61::unmask();
        }
        reports::push(Readable::Storm { storm: *storm, masking: None });
    }

    fn after_leave(&self, ctx: &NmiContext<'_>, due: AfterLeave) {
        if due.panic_on_unknown() {
            stop_on_unknown(ctx.cpu());
        }
        if due.stop() {
            parking::park(ctx.cpu());
        }
    }

    fn fatal(&self, error: Fatal) -> ! {
        console::last_words(|out| {
            let _ = writeln!(out, "PANIC {error}");
        });
        exit(Ending::Panic)
    }
}

/// The panic policy: a readable report, the record for the host, and the end.
fn stop_on_unknown(cpu: usize) -> ! {
    console::last_words(|out| {
        let _ = writeln!(out, "STOPPED by an NMI that nothing explains, as the policy demands");
        reports::drain(cpu, |report| {
            let _ = writeln!(out, "{report}");
        });
        record::stopped(out, format_args!("unknown NMI on CPU {cpu}"));
    });
    exit(Ending::UnknownPolicy)
}
