// SPDX-License-Identifier: MIT OR Apache-2.0
//! The simulated machine as Latchwork's platform.

use latchwork::{
    AbsorbedNmi, AfterLeave, Fatal, InterruptState, NmiContext, Platform, Request, Requests,
    RingError, Storm, UnknownKind, UnknownNmi,
};

use super::kernel;

use crate::{
    driver::{clock, interrupts, lapic, report},
    engine,
    machine::{Doing, Reported, current},
};

/// The machine of this thread.
#[derive(Debug)]
pub(super) struct SimPlatform;

// SAFETY: 1. The number is that of the simulated CPU that the code runs on, which never changes.
// 2. The world returns from an NMI only after dispatch has. 3. A simulated CPU's code stays on it,
//    and the machine delivers no interrupt while its flag is clear. 4. `fatal` ends the execution
//    by a panic, which is never caught inside it. 5. A simulated CPU gives way at choice points
//    only.
unsafe impl Platform for SimPlatform {
    fn current_cpu(&self) -> Option<usize> {
        Some(current().this_cpu())
    }

    fn now_ticks(&self) -> u64 {
        clock::now_ticks()
    }

    fn ticks_per_ms(&self) -> u64 {
        clock::TICKS_PER_MS
    }

    fn ring(&self, cpu: usize) -> Result<(), RingError> {
        if lapic::send_nmi(cpu) { Ok(()) } else { Err(RingError::Busy) }
    }

    fn disable_interrupts(&self) -> InterruptState {
        InterruptState(interrupts::disable().into())
    }

    unsafe fn restore_interrupts(&self, state: InterruptState) {
        interrupts::restore(state.0 != 0);
    }

    fn relax(&self) {
        engine::relax();
    }

    fn serve(&self, _: &NmiContext<'_>, requests: Requests) {
        let asked = [Request::Stop, Request::Backtrace, Request::Call];
        let asked = asked.into_iter().map(|request| requests.count(request)).sum();
        report::served(requests.total(), asked);
    }

    fn interrupt_for_work(&self, cpu: usize) {
        lapic::send_work_interrupt(cpu);
    }

    fn interrupts_are_on(&self) -> bool {
        interrupts::are_on()
    }

    fn restart_tick(&self) {
        interrupts::start_tick();
        kernel().nmi.tick_restarted();
    }

    fn report_unknown(&self, unknown: &UnknownNmi) {
        let reported = match unknown.kind {
            UnknownKind::LateSend => Reported::LateSend,
            _ => Reported::Unknown,
        };
        report::report(unknown.ip, reported);
    }

    fn report_absorbed(&self, absorbed: &AbsorbedNmi) {
        report::report(absorbed.ip, Reported::Absorbed);
    }

    fn storm_began(&self, _: &Storm) {
        report::storm_began();
    }

    fn storm_ended(&self, _: &Storm) {
        report::storm_ended();
    }

    fn after_leave(&self, ctx: &NmiContext<'_>, due: AfterLeave) {
        if due.stop() {
            if due.panics_elsewhere() {
                report::asks_to_park(ctx.cpu());
            }
            report::parks();
            let machine = current();
            let until_us = machine.with(|state| state.now_us) + machine.timing.park_us;
            machine.remain(ctx.cpu(), Doing::Parked { until_us });
        }
    }

    fn fatal(&self, error: Fatal) -> ! {
        panic!("{error}")
    }
}
