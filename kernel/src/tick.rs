// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each CPU's tick, a thousand a second, and when it is stopped.
//!
//! A CPU that idles without a limit needs no tick, and stops it. The kernel then calls the NMI
//! subsystem, which asks for a tick where it needs one ([`restart`]). When that tick comes, it
//! tells the NMI subsystem that the CPU ticks again, and the idle loop may stop it once more.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::cpu::area::{self, CpuArea, add_one};
use crate::nmi::{NMI, reports};
use crate::waiting::{self, awaited};
use crate::{apic, cpu, idle};

/// How long [`sleep_for`] sleeps at most.
const LIMIT_MS: u64 = 10_000;

/// One tick in this many checks whether some CPU has waited for too long.
const TICKS_A_CHECK: u64 = 1_024;

/// Whether the kernel passes ticks on to the NMI subsystem. Scenarios write it while nothing
/// depends on it.
static REACH_LIBRARY: AtomicBool = AtomicBool::new(true);

/// Whether the kernel passes ticks and idle entries on to the NMI subsystem.
pub(crate) fn reach_library() -> bool {
    REACH_LIBRARY.load(Ordering::Relaxed)
}

/// Chooses whether the kernel passes ticks and idle entries on to the NMI subsystem from now on.
pub(crate) fn pass_to_library(passed: bool) {
    REACH_LIBRARY.store(passed, Ordering::Relaxed);
}

/// Handles the interrupt of this CPU's timer. Interrupts off.
pub(crate) fn take(cpu: usize, area: &CpuArea) {
    add_one(&area.ticks);
    if area.ticks.load(Ordering::Relaxed) % TICKS_A_CHECK == 0 {
        waiting::check_all();
    }
    if reach_library() {
        start_again(area);
        NMI.tick();
    }
    reports::print_queued(cpu);
}

/// Sleeps until this CPU has taken `ticks` more ticks. Threads.
pub(crate) fn sleep_for(ticks: u64) {
    let taken = || area::this().map_or(0, |area| area.ticks.load(Ordering::Relaxed));
    let before = taken();
    idle::until_or_ms(awaited!("{} ticks", ticks), || taken() >= before + ticks, LIMIT_MS);
}

/// Stops this CPU's tick, if the NMI subsystem is initialised. Interrupts off.
pub(crate) fn stop() {
    let Some((cpu, area)) = area::current_cpu().and_then(|cpu| Some((cpu, area::of(cpu)?))) else {
        return;
    };
    if NMI.is_online(cpu).is_some() && !area.tick_is_stopped.swap(true, Ordering::Relaxed) {
        apic::hold_tick(true);
        NMI.tick_stopped();
    }
}

/// Starts this CPU's tick again, if it is stopped. Threads.
pub(crate) fn start() {
    let enabled = cpu::interrupts_off();
    if let Some(area) = area::this() {
        if area.tick_is_stopped.load(Ordering::Relaxed) {
            apic::hold_tick(false);
            start_again(area);
        }
    }
    cpu::interrupts_restore(enabled);
}

/// Gives this CPU a tick within a period, even if its thread has stopped it. Interrupts off.
/// [`take`] tells the NMI subsystem when the tick has come.
pub(crate) fn restart() {
    apic::hold_tick(false);
}

/// Tells the NMI subsystem that the tick comes again.
fn start_again(area: &CpuArea) {
    if area.tick_is_stopped.swap(false, Ordering::Relaxed) {
        NMI.tick_restarted();
    }
}
