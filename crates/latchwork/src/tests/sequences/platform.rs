// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the library asks of the machine: its handlers, and the platform.

use std::{format, string::ToString};

use super::{
    machine::{Machine, Ring, TICKS_PER_MS, TICKS_PER_US},
    step::CPUS,
};
use crate::{
    AfterLeave, Claim, Fatal, InterruptState, NmiContext, NmiHandler, Platform, Request, Requests,
    RingError, Storm, UnknownNmi,
};

/// The handler of a source.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) machine: &'static Machine,
    pub(super) index: usize,
}

// SAFETY: one thread plays all CPUs, and it holds no borrow over a call of the library.
unsafe impl NmiHandler for Source {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        let Self { machine, index } = *self;
        let (is_alive, in_nmi) =
            machine.with(|state| (state.is_alive[index], state.cpus[ctx.cpu()].nmis != 0));
        if !is_alive {
            machine.violated(format!("source {index} is asked after its removal"));
        }
        if ctx.cpu() != machine.cpu.get() {
            machine.violated(format!("CPU {} is told that it is {}", machine.cpu.get(), ctx.cpu()));
        }
        if ctx.is_outside_nmi()
            && in_nmi
            && machine.with(|state| state.cpus[ctx.cpu()].calls == state.cpus[ctx.cpu()].nmis)
        {
            machine.violated("a handler of an NMI is told that it is outside".to_string());
        }
        machine.claim(index, ctx.cpu())
    }
}

/// What a sequence unwinds with where a CPU would wait for itself.
pub(super) struct Deadlock;

const REQUESTS: [Request; 6] = [
    Request::Stop,
    Request::Backtrace,
    Request::Call,
    Request::Probe,
    Request::Selftest,
    Request::Again,
];

// SAFETY: the thread is the CPU that it says; what it does in an NMI takes no lock of the library.
unsafe impl Platform for Machine {
    fn current_cpu(&self) -> Option<usize> {
        Some(self.cpu.get())
    }
    fn now_ticks(&self) -> u64 {
        self.pass_ticks(10);
        self.shown.get()
    }
    fn ticks_per_ms(&self) -> u64 {
        TICKS_PER_MS
    }
    fn ring(&self, cpu: usize) -> Result<(), RingError> {
        let now = self.now.get();
        self.with(|state| {
            if core::mem::take(&mut state.fails_ring) {
                return Err(RingError::Busy);
            }
            let due = Some(now + Self::late_ticks(state, None));
            let longest = u64::from(state.limits.hold_us) * TICKS_PER_US / 2;
            let is_late = state.sends.last().is_some_and(|began| now - began > longest);
            let is_excused = is_late || super::play::is_send_stuck();
            state.rings.push(Ring { cpu, of: None, due, is_excused });
            Ok(())
        })
    }
    fn disable_interrupts(&self) -> InterruptState {
        self.with(|state| {
            let off = &mut state.cpus[self.cpu.get()].interrupts_off;
            InterruptState(usize::from(core::mem::replace(off, true)))
        })
    }
    unsafe fn restore_interrupts(&self, before: InterruptState) {
        self.with(|state| state.cpus[self.cpu.get()].interrupts_off = before.0 != 0);
    }
    fn relax(&self) {
        self.pass_ticks(10 * TICKS_PER_US);
        if self.with(|state| state.nesting) != 0 {
            // The edge of a CPU that leaves waits for a poll of another, which cannot go on here.
            let cpu = self.cpu.get();
            let waits_for_other = self.with(|state| {
                let others = state.cpus.iter().enumerate().filter(|(other, _)| *other != cpu);
                state.cpus[cpu].is_leaving && others.into_iter().any(|(_, it)| it.calls != 0)
            });
            if !waits_for_other {
                self.violated("a CPU waits for what it interrupted".to_string());
            }
            std::panic::resume_unwind(std::boxed::Box::new(Deadlock));
        }
    }
    fn serve(&self, ctx: &NmiContext<'_>, requests: Requests) {
        let now = self.now.get();
        self.with(|state| {
            let lasts = state.lasts;
            let cpu = &mut state.cpus[ctx.cpu()];
            for (request, served) in REQUESTS.into_iter().zip(&mut cpu.served) {
                *served += requests.count(request);
            }
            cpu.ledger.add(requests.total(), now, lasts);
        });
    }
    fn interrupt_for_work(&self, cpu: usize) {
        self.with(|state| state.cpus[cpu].is_interrupted = true);
    }
    fn interrupts_are_on(&self) -> bool {
        self.with(|state| !state.cpus[self.cpu.get()].interrupts_off)
    }
    fn restart_tick(&self) {
        self.with(|state| state.cpus[self.cpu.get()].ticks = true);
    }
    fn report_unknown(&self, report: &UnknownNmi) {
        if report.kind == crate::UnknownKind::LateSend {
            self.with(|state| state.late_sends += 1);
        }
    }
    fn storm_began(&self, storm: &Storm) {
        self.with(|state| state.cpus[storm.cpu].storms += 1);
    }
    fn storm_ended(&self, storm: &Storm) {
        self.with(|state| state.cpus[storm.cpu].storms -= 1);
    }
    fn after_leave(&self, ctx: &NmiContext<'_>, due: AfterLeave) {
        let cpu = ctx.cpu();
        let (in_nmi, parks) = self.with(|state| {
            let it = &mut state.cpus[cpu];
            it.parked += usize::from(due.stop());
            (it.nmis != 0, it.parked <= it.stops + it.stops_under_way)
        });
        if !in_nmi {
            self.violated("a CPU parks outside an NMI".to_string());
        }
        if due.stop() && !parks {
            self.violated("a CPU parks for no Stop of this life".to_string());
        }
        // A parked CPU holds up nobody: another one takes the writer lock, unless a third has it,
        // which cannot go on here.
        let calls = |it: usize| self.with(|state| state.cpus[it].calls);
        let is_alone = (0..CPUS).all(|other| other == cpu || calls(other) == 0);
        if let Some(nmi) = self.nmi.get().filter(|_| is_alone) {
            let is_free = |cpu: &usize| {
                self.with(|state| state.cpus[*cpu].is_online && state.cpus[*cpu].calls == 0)
            };
            if let Some(other) = (0..CPUS).find(is_free) {
                self.as_other(other, || {
                    let _ = nmi.set_boot_cpu(0);
                });
            }
        }
    }
    fn fatal(&self, error: Fatal) -> ! {
        panic!("fatal: {error}");
    }
}
