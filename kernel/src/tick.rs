// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each CPU's tick, a thousand a second, and when it is stopped.
//!
//! A CPU that idles without a limit needs no tick, and stops it. The kernel calls the NMI subsystem
//! then, which asks for a tick where it needs one ([`restart`]): the tick that then comes says that
//! it is there again, and the idle loop may stop it once more.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::cpu::area::{self, CpuArea, add_one};
use crate::nmi::{NMI, reports};
use crate::waiting::{self, awaited};
use crate::{apic, cpu, idle};

/// How long [`sleep_for`] sleeps at most.
const LIMIT_MS: u64 = 10_000;

/// One tick in this many looks whether some CPU waits in vain.
const TICKS_A_CHECK: u64 = 1_024;

/// The NMI subsystem hears of ticks. Written by scenarios while nothing depends on it.
static ARE_TOLD: AtomicBool = AtomicBool::new(true);

/// Whether the NMI subsystem hears of ticks from now on.
pub(crate) fn tell_library(told: bool) {
    ARE_TOLD.store(told, Ordering::Relaxed);
}

/// This CPU's timer has interrupted it. Interrupts off.
pub(crate) fn take(cpu: usize, area: &CpuArea) {
    add_one(&area.ticks);
    if area.ticks.load(Ordering::Relaxed) % TICKS_A_CHECK == 0 {
        waiting::check_all();
    }
    if ARE_TOLD.load(Ordering::Relaxed) {
        start_again(area);
        NMI.tick();
    }
    reports::print_queued(cpu);
}

/// Sleeps until this CPU has taken `ticks` more of them. Threads.
pub(crate) fn sleep_for(ticks: u64) {
    let taken = || area::this().map_or(0, |area| area.ticks.load(Ordering::Relaxed));
    let before = taken();
    idle::until_or_ms(awaited!("{} ticks", ticks), || taken() >= before + ticks, LIMIT_MS);
}

/// Stops this CPU's tick, once the NMI subsystem can be told. Interrupts off.
pub(crate) fn stop() {
    let Some((cpu, area)) = area::current_cpu().and_then(|cpu| Some((cpu, area::of(cpu)?))) else {
        return;
    };
    if NMI.is_online(cpu).is_some() && !area.tick_is_stopped.swap(true, Ordering::Relaxed) {
        apic::hold_tick(true);
        NMI.tick_stopped();
    }
}

/// Lets this CPU's tick come again, if it is stopped. Threads.
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

/// Gives this CPU a tick within a period, whatever its thread stopped. Interrupts off. [`take`]
/// says when it is there.
pub(crate) fn restart() {
    apic::hold_tick(false);
}

/// Says that the tick comes again.
fn start_again(area: &CpuArea) {
    if area.tick_is_stopped.swap(false, Ordering::Relaxed) {
        NMI.tick_restarted();
    }
}
