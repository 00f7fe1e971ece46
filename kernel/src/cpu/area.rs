// SPDX-License-Identifier: MIT OR Apache-2.0
//! The per-CPU area, at which GS points.
//!
//! | GS offset | what |
//! |---|---|
//! | 0 | the area's own address |
//! | 8 | the CPU's number; [`NO_CPU`] in the early area |
//!
//! GS is valid from the first Rust instruction on: the start-up code points it at [`EARLY_AREA`],
//! and [`enter`] at the CPU's own area before that CPU loads its interrupt table. So an NMI that
//! reaches a handler of ours finds a true area. The NMI entry does not trust GS all the same, but
//! takes the area from the top of the CPU's NMI stack ([`super::stacks`]).

use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use x86_64::VirtAddr;
use x86_64::registers::model_specific::GsBase;

use super::MAX_CPUS;

/// Stands for "this CPU has no number yet".
const NO_CPU: usize = usize::MAX;

/// The area of one CPU, at which its GS points.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct CpuArea {
    this: AtomicUsize,
    cpu: AtomicUsize,
    /// The physical APIC ID, for sends to this CPU. Written before the CPU starts, each time the
    /// same.
    pub(crate) apic_id: AtomicU32,
    /// The CPU runs the kernel. The CPU sets it, Release. The CPU that stops it clears it, and the
    /// CPU that starts it reads it, Acquire.
    pub(crate) online: AtomicBool,
    /// Ticks of the periodic timer. Written by the CPU itself.
    pub(crate) ticks: AtomicU64,
    /// The tick is stopped, and the NMI subsystem knows. Written by the CPU itself, with interrupts
    /// off.
    pub(crate) tick_is_stopped: AtomicBool,
    /// Maskable self-IPIs and wake-ups taken. Written by the CPU itself.
    pub(crate) wakes: AtomicU64,
    /// What the APIC's error status keeps showing. Only the CPU itself uses it, with interrupts
    /// off.
    pub(crate) kept_apic_errors: AtomicU32,
}

impl CpuArea {
    const fn new() -> Self {
        Self {
            this: AtomicUsize::new(0),
            cpu: AtomicUsize::new(NO_CPU),
            apic_id: AtomicU32::new(0),
            online: AtomicBool::new(false),
            ticks: AtomicU64::new(0),
            tick_is_stopped: AtomicBool::new(false),
            wakes: AtomicU64::new(0),
            kept_apic_errors: AtomicU32::new(0),
        }
    }
}

/// Where GS points before a CPU has its own area.
pub(crate) static EARLY_AREA: CpuArea = CpuArea::new();

static AREAS: [CpuArea; MAX_CPUS] = [const { CpuArea::new() }; MAX_CPUS];

/// The area of `cpu`, below [`MAX_CPUS`].
pub(crate) fn of(cpu: usize) -> Option<&'static CpuArea> {
    AREAS.get(cpu)
}

/// The area of this CPU, if it has one. NMI-safe.
pub(crate) fn this() -> Option<&'static CpuArea> {
    AREAS.get(current_cpu()?)
}

/// This CPU's number, or `None` before [`enter`]. NMI-safe.
#[inline(always)]
pub(crate) fn current_cpu() -> Option<usize> {
    let cpu: usize;
    // SAFETY: GS points at an area whenever Rust code runs; the number lies at offset 8.
    unsafe { asm!("mov {}, gs:[8]", out(reg) cpu, options(nostack, readonly, preserves_flags)) };
    (cpu != NO_CPU).then_some(cpu)
}

/// Makes GS point at the area of `cpu`.
///
/// # Safety
///
/// The calling CPU is `cpu`, and no other CPU ever is.
pub(crate) unsafe fn enter(cpu: usize) {
    let area = &AREAS[cpu];
    area.this.store(address(cpu), Ordering::Relaxed);
    area.cpu.store(cpu, Ordering::Relaxed);
    GsBase::write(VirtAddr::new(address(cpu) as u64));
}

/// The address of the area of `cpu`: what GS points at.
pub(crate) fn address(cpu: usize) -> usize {
    (&raw const AREAS[cpu]).expose_provenance()
}

/// Adds one to a counter that only this CPU writes, in interrupt context.
pub(crate) fn add_one(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Release);
}
