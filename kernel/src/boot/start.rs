// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bringing up CPUs: what each does for itself, and how the boot CPU wakes the others.

use core::sync::atomic::Ordering;

use latchwork_x86::cpuid;
use latchwork_x86::hw::GsAccess;
use latchwork_x86::icr::ApicId;
use x86_64::registers::control::{Cr4, Cr4Flags};

use super::{firmware::ApicIds, pages, trampoline};
use crate::cpu::{MAX_CPUS, area, stacks, tables};
use crate::waiting::{self, awaited};
use crate::{apic, patience, smp, time};

/// How long the boot CPU waits after INIT, and after each start-up IPI (SDM Vol. 3A, "MP
/// Initialization Protocol").
const AFTER_INIT_US: u64 = 10_000;
const AFTER_STARTUP_US: u64 = 200;

/// How long a CPU waits after an INIT by which it has stopped another while the kernel runs. The
/// INIT takes effect between two instructions. Only the first start needs the protocol's longer
/// wait, without which processors since the Pentium Pro do (Linux, `smp_quirk_init_udelay`).
const AFTER_STOP_US: u64 = 200;

/// Gives this CPU its number: GS first, so that an NMI finds it, then descriptor and interrupt
/// tables.
///
/// # Safety
///
/// The calling CPU is `cpu`, no other ever is, its stacks are prepared and the IDT is filled. Once
/// each time that the CPU starts.
pub(crate) unsafe fn become_cpu(cpu: usize) {
    if cpuid::features().fsgsbase {
        // SAFETY: the CPU has the instructions, and nothing relies on them being undefined.
        unsafe { Cr4::update(|flags| flags.insert(Cr4Flags::FSGSBASE)) };
    }
    waiting::forget(cpu);
    // SAFETY: the caller vouches for the number.
    unsafe { area::enter(cpu) };
    // SAFETY: GS is set just above; the rest is the caller's.
    unsafe { tables::load(cpu) };
    if let Some(area) = area::of(cpu) {
        area.online.store(true, Ordering::Release);
    }
}

/// How NMI entries will reach the GS base: the same way on all CPUs.
pub(crate) fn gs_access() -> GsAccess {
    if cpuid::features().fsgsbase { GsAccess::FsGsBase } else { GsAccess::Msr }
}

/// Starts every CPU in `ids` but this one, numbered from 1. Returns how many CPUs run. Boot CPU,
/// once.
///
/// # Safety
///
/// The trampoline's page is free, and the IDT is filled.
pub(crate) unsafe fn start_others(ids: &ApicIds) -> usize {
    // SAFETY: the caller vouches for the page.
    unsafe { trampoline::install() };
    let own = apic::id();
    let others = || ids.iter().filter(|id| *id != own).take(MAX_CPUS - 1);
    for id in others() {
        apic::send_init(id);
    }
    time::delay_us(AFTER_INIT_US);
    let mut cpus = 1;
    for id in others() {
        // SAFETY: the number is free, and its CPU has not started.
        let started = unsafe { start(cpus, id) };
        assert!(started, "the CPU with APIC ID {} does not start", id.get());
        cpus += 1;
    }
    pages::unmap(0);
    smp::set_cpus(cpus);
    cpus
}

/// Stops a CPU wherever it is, an NMI included, by INIT. It executes nothing until it is started
/// again.
///
/// # Safety
///
/// `cpu` runs and is not this one. It holds nothing that another CPU waits for, and nobody sends it
/// an NMI before it has been started again and has loaded its interrupt table.
pub(crate) unsafe fn stop(cpu: usize) {
    let Some((area, id)) = area_and_id(cpu) else {
        panic!("CPU {cpu} has never been started");
    };
    area.online.store(false, Ordering::Relaxed);
    apic::send_init(id);
    time::delay_us(AFTER_STOP_US);
    waiting::forget(cpu);
}

/// Starts a CPU that [`stop`] stopped, and waits until it runs. Returns whether it does. The CPU
/// serves jobs as before, and runs the job that is under way from the beginning.
///
/// # Safety
///
/// `cpu` was stopped, and no code relies on what was on its stacks.
pub(crate) unsafe fn start_again(cpu: usize) -> bool {
    let Some((_, id)) = area_and_id(cpu) else {
        return false;
    };
    // SAFETY: the CPU that had this number was stopped, and waits for a start-up IPI.
    unsafe { start(cpu, id) }
}

fn area_and_id(cpu: usize) -> Option<(&'static area::CpuArea, ApicId)> {
    let area = area::of(cpu)?;
    Some((area, ApicId::new(area.apic_id.load(Ordering::Relaxed))?))
}

/// Starts one CPU and waits until it runs. Returns whether it does.
///
/// # Safety
///
/// No running CPU has the number `cpu`; the one with APIC ID `id` waits for a start-up IPI.
unsafe fn start(cpu: usize, id: ApicId) -> bool {
    let Some(area) = area::of(cpu) else {
        return false;
    };
    area.apic_id.store(id.get(), Ordering::Relaxed);
    // SAFETY: the CPU does not run, so nobody uses its stacks.
    unsafe { stacks::prepare(cpu, gs_access()) };
    trampoline::prepare(cpu, stacks::thread_top(cpu));
    let online = || area.online.load(Ordering::Acquire);
    // The second start-up IPI is for CPUs that miss the first; one that runs ignores it.
    for _ in 0..2 {
        // SAFETY: the trampoline is in its page, and what it needs was prepared just above.
        unsafe { apic::send_startup(id, trampoline::TRAMPOLINE_PAGE) };
        time::delay_us(AFTER_STARTUP_US);
        if online() {
            return true;
        }
    }
    patience::busy_wait_until(awaited!("CPU {} to start", cpu), online)
}

/// Where every CPU but the first begins, on its own thread stack.
pub(super) extern "C" fn ap_main(cpu: usize) -> ! {
    apic::init_this_cpu(|| {});
    // SAFETY: the boot CPU chose this number for this CPU and prepared its stacks.
    unsafe { become_cpu(cpu) };
    apic::forget_errors();
    x86_64::instructions::interrupts::enable();
    smp::serve_jobs(cpu)
}
