// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel that an author would wish to write: some thirty lines from nothing to shared NMIs.
//!
//! `mod rest` stands for the kernel that is there already. Here it is a host program, so that the
//! example can be run: `cargo run -p latchwork-x86 --example thirty_lines`.

use latchwork::*;
use latchwork_x86::entry::NmiFrame;

static CPUS: [PerCpu; 4] = [const { PerCpu::new() }; 4];
static NMI: Nmi<Kernel> = Nmi::new(Kernel);

struct Profiler;

// SAFETY: it looks at its own CPU's counter and samples without a lock.
unsafe impl NmiHandler for Profiler {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        if !rest::counter_overflowed(ctx.cpu()) {
            return Claim::None;
        }
        rest::sample(ctx.ip());
        Claim::Handled
    }
}

extern "sysv64" fn on_nmi(frame: &mut NmiFrame) {
    // SAFETY: the entry code below calls this in an NMI, and nothing else does.
    unsafe { NMI.dispatch(&frame.interrupted()) };
}
latchwork_x86::nmi_entry!(nmi_entry, on_nmi); // goes into IDT vector 2, on an IST stack

fn start() -> Result<(), Box<dyn std::error::Error>> {
    NMI.init(&CPUS)?;
    rest::set_idt_vector_2(nmi_entry as *const () as u64);
    let pmu =
        HandlerSpec::new("profiler", Class::Local, Doorbell::Local(4), EdgeModel::PerCondition);
    let profiler = NMI.register(&pmu, &Profiler)?;
    rest::run_for_a_while()?;
    profiler.remove()?; // over: its code and data may go
    Ok(())
}

struct Kernel;

// SAFETY: there is one CPU, interrupts are never on, and nothing below locks, allocates or returns
// where it must not.
unsafe impl Platform for Kernel {
    fn current_cpu(&self) -> Option<usize> {
        Some(rest::cpu_number())
    }
    fn now_ticks(&self) -> u64 {
        rest::tsc()
    }
    fn ticks_per_ms(&self) -> u64 {
        2_000_000
    }
    fn ring(&self, cpu: usize) -> Result<(), RingError> {
        rest::send_nmi_ipi(cpu)
    }
    fn disable_interrupts(&self) -> InterruptState {
        InterruptState(rest::save_flags_and_cli())
    }
    unsafe fn restore_interrupts(&self, state: InterruptState) {
        rest::restore_flags(state.0);
    }
    fn interrupt_for_work(&self, cpu: usize) {
        rest::send_work_ipi(cpu); // its handler calls `NMI.run_work()`, and the tick's `NMI.tick()`
    }
    fn interrupts_are_on(&self) -> bool {
        false
    }
    fn restart_tick(&self) {} // it is never stopped
    fn report_unknown(&self, report: &UnknownNmi) {
        rest::log_from_nmi(report);
    }
    fn after_leave(&self, _: &NmiContext<'_>, due: AfterLeave) {
        if due.stop() || due.panic_on_unknown() {
            rest::halt();
        }
    }
    fn fatal(&self, _: Fatal) -> ! {
        rest::halt()
    }
}

/// The kernel that is there already, as far as the example needs it.
mod rest {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

    use latchwork::{Request, RingError, SendError, UnknownNmi};
    use latchwork_x86::entry::NmiFrame;

    static OVERFLOWS: AtomicUsize = AtomicUsize::new(0);
    static SAMPLES: AtomicUsize = AtomicUsize::new(0);
    static UNKNOWN: AtomicUsize = AtomicUsize::new(0);
    static WORK_IS_DUE: AtomicBool = AtomicBool::new(false);

    pub(crate) fn cpu_number() -> usize {
        0
    }
    pub(crate) fn tsc() -> u64 {
        // SAFETY: RDTSC has no precondition where user mode may execute it, as here.
        unsafe { core::arch::x86_64::_rdtsc() }
    }
    pub(crate) fn counter_overflowed(_: usize) -> bool {
        OVERFLOWS.swap(0, Relaxed) != 0
    }
    pub(crate) fn sample(_: usize) {
        SAMPLES.fetch_add(1, Relaxed);
    }
    pub(crate) fn set_idt_vector_2(_: u64) {}
    pub(crate) fn send_nmi_ipi(_: usize) -> Result<(), RingError> {
        super::on_nmi(&mut NmiFrame::default());
        Ok(())
    }
    pub(crate) fn save_flags_and_cli() -> usize {
        0
    }
    pub(crate) fn restore_flags(_: usize) {}
    pub(crate) fn send_work_ipi(_: usize) {
        WORK_IS_DUE.store(true, Relaxed);
    }
    pub(crate) fn log_from_nmi(report: &UnknownNmi) {
        UNKNOWN.store(report.count, Relaxed);
    }
    pub(crate) fn halt() -> ! {
        std::process::abort()
    }

    /// An overflow, a software NMI, and an NMI that nothing explains.
    pub(crate) fn run_for_a_while() -> Result<(), SendError> {
        OVERFLOWS.store(1, Relaxed);
        super::on_nmi(&mut NmiFrame::default());
        super::NMI.send(0, Request::Backtrace)?;
        super::on_nmi(&mut NmiFrame::default());
        if WORK_IS_DUE.swap(false, Relaxed) {
            super::NMI.run_work();
        }
        super::NMI.tick();
        assert_eq!((SAMPLES.load(Relaxed), UNKNOWN.load(Relaxed)), (1, 1));
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    start()?;
    let seen = NMI.cpu_stats(0).ok_or("CPU 0 has no statistics")?;
    println!("{} NMIs: {} claimed, {} unknown", seen.edges, seen.claimed, seen.unknown);
    Ok(())
}
