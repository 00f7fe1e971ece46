// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hostile reading of the public API: what safe code may do with it that nobody means to, clocks
//! that are odd, settings that are extreme or come at a bad time, handlers that never have enough.

mod clock;
mod flood;
mod limits;
mod more;
mod requests;
mod settings;
mod sharing;
mod wrap;

use super::world::{CPUS, TestPlatform, become_cpu, take_nmi, take_work_interrupt};
use crate::{Nmi, primitive::Ordering};

/// Takes, on the CPU that this thread is, the interrupt for work and then each NMI that was rung
/// since `taken`.
fn take_what_was_raised(nmi: &'static Nmi<TestPlatform>, cpu: usize, taken: &mut [usize; CPUS]) {
    take_work_interrupt(nmi);
    while taken[cpu] < nmi.platform.rung[cpu].load(Ordering::Relaxed) {
        taken[cpu] += 1;
        take_nmi(nmi);
        take_work_interrupt(nmi);
    }
}

/// Lets each CPU tick `ticks` times, `period_us` apart, and take what was raised for it. A CPU that
/// is offline takes no part.
fn let_the_machine_run(
    nmi: &'static Nmi<TestPlatform>,
    ticks: usize,
    period_us: usize,
    taken: &mut [usize; CPUS],
) {
    for _ in 0..ticks {
        super::source::time_passes(nmi, period_us);
        for cpu in (0..CPUS).filter(|cpu| nmi.is_online(*cpu) == Some(true)) {
            become_cpu(Some(cpu));
            nmi.tick();
            take_what_was_raised(nmi, cpu, taken);
        }
    }
}
