// SPDX-License-Identifier: MIT OR Apache-2.0
//! A doorbell of each CPU's own that rings as performance counters do, which no emulator here has:
//! a status that its handler clears, and one ring each time that it is set.
//!
//! As with a counter whose entry masks itself, nothing overflows while the status is set. A handler
//! that has cleared the status can make the next overflow come at once, while NMIs are blocked. So
//! a *burst* keeps its CPU in one NMI after the other, with the next one latched, and whatever else
//! rings that CPU collapses with one of them.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use latchwork::{
    Claim, Class, Doorbell, EdgeModel, HandlerSpec, NmiContext, NmiHandler, Registration, Request,
};

use super::Tally;
use crate::apic;
use crate::cpu::{self, MAX_CPUS};
use crate::nmi;
use crate::once::Once;
use crate::patience;
use crate::waiting::awaited;

/// The doorbell's number: the LVT entry of the performance counters.
const PERFORMANCE: u8 = 4;

/// How long a burst may take.
const BURST_TURNS: u32 = 1_000_000;

/// In a burst, one NMI in this many executes PAUSE, with the next one latched: QEMU under the
/// deterministic clock then goes on to the next CPU, whose rings collapse with what is latched.
/// Without that, QEMU before 8.1 may never execute the others.
const GIVES_TURN_EVERY: u64 = 16;

/// One CPU's counters.
struct Pmu {
    /// The status. The code that makes the counters overflow sets it, before the ring; the handler
    /// takes it.
    overflowed: AtomicBool,
    /// Overflows that are still to come in this burst. The CPU's thread writes it while there is no
    /// burst, and the handler in one.
    to_come: AtomicU64,
    overflows: Tally,
    claims: Tally,
    /// Those of them by an edge that took a probe as well.
    with_probes: Tally,
}

static PMUS: [Pmu; MAX_CPUS] = [const {
    Pmu {
        overflowed: AtomicBool::new(false),
        to_come: AtomicU64::new(0),
        overflows: Tally::new(),
        claims: Tally::new(),
        with_probes: Tally::new(),
    }
}; MAX_CPUS];

/// What the handler calls in a burst, with its CPU, after it has made the next overflow come.
static IN_BURSTS: Once<fn(usize)> = Once::new();

/// Consume the status and claim nothing: the fault `answers-none`. Written before the handler is
/// registered.
pub(super) static ANSWERS_NONE: AtomicBool = AtomicBool::new(false);

struct Counters;
static COUNTERS: Counters = Counters;

// SAFETY: touches atomics in statics, sends NMIs, and calls what is NMI-safe by the contract of
// `call_in_bursts`.
unsafe impl NmiHandler for Counters {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        let Some(pmu) = PMUS.get(ctx.cpu()) else {
            return Claim::None;
        };
        if !pmu.overflowed.swap(false, Ordering::Acquire) {
            return Claim::None;
        }
        let answers_none = ANSWERS_NONE.load(Ordering::Relaxed);
        pmu.claims.add(u64::from(!answers_none));
        if ctx.requests().count(Request::Probe) != 0 {
            pmu.with_probes.add(1);
        }
        if let Some(to_come) = pmu.to_come.load(Ordering::Relaxed).checked_sub(1) {
            pmu.to_come.store(to_come, Ordering::Relaxed);
            overflow(ctx.cpu());
            if to_come % GIVES_TURN_EVERY == GIVES_TURN_EVERY / 2 {
                core::hint::spin_loop();
            }
            if let Some(call) = IN_BURSTS.get() {
                call(ctx.cpu());
            }
        }
        if answers_none { Claim::None } else { Claim::Handled }
    }
}

/// Registers the handler.
pub(super) fn register() -> Registration {
    let doorbell = Doorbell::Local(PERFORMANCE);
    let spec = HandlerSpec::new("counters", Class::Local, doorbell, EdgeModel::PerCondition);
    // The scenario makes them overflow as often as it can, so this is no storm.
    nmi::register_as(&spec.priority(10).storm_above(0), &COUNTERS)
}

/// Makes each NMI of a burst but the last call `call`, which is NMI-safe. Called once.
pub(super) fn call_in_bursts(call: fn(usize)) {
    IN_BURSTS.set(call);
}

/// Makes the counters of `cpu` overflow and ring, unless the handler has not handled the last
/// overflow yet. Any context.
pub(super) fn overflow(cpu: usize) {
    // This keeps out maskable interrupts, whose handlers would wait for the ring.
    let enabled = cpu::interrupts_off();
    if overflow_silently(cpu) {
        ring(cpu);
    }
    cpu::interrupts_restore(enabled);
}

/// The same without the ring. Returns whether a ring is still to come.
pub(super) fn overflow_silently(cpu: usize) -> bool {
    let overflows = PMUS.get(cpu).is_some_and(|pmu| !pmu.overflowed.swap(true, Ordering::Release));
    if overflows {
        PMUS[cpu].overflows.add(1);
    }
    overflows
}

/// The ring of an overflow. Any context.
pub(super) fn ring(cpu: usize) {
    // The scenario counts NMIs, and misses one that was refused.
    let _ = apic::send_nmi(cpu);
}

/// Makes the counters of this CPU, `cpu`, overflow `overflows` times in a row, each time inside the
/// NMI of the last. Threads.
pub(super) fn burst(cpu: usize, overflows: u64) {
    let pmu = &PMUS[cpu];
    pmu.to_come.store(overflows.saturating_sub(1), Ordering::Relaxed);
    overflow(cpu);
    let is_over = || pmu.to_come.load(Ordering::Relaxed) == 0 && !has_overflowed(cpu);
    let over = awaited!("its counters to have overflowed {} times", overflows);
    assert!(
        patience::spin_until(over, is_over, BURST_TURNS),
        "the counters of CPU {cpu} are stuck"
    );
}

/// Whether an overflow waits for the handler.
pub(super) fn has_overflowed(cpu: usize) -> bool {
    PMUS[cpu].overflowed.load(Ordering::Acquire)
}

/// Overflows of `cpu` so far, which is how often its counters rang.
pub(super) fn overflows(cpu: usize) -> u64 {
    PMUS[cpu].overflows.get()
}

/// Overflows of `cpu` that an edge took together with a probe.
pub(super) fn taken_with_probes(cpu: usize) -> u64 {
    PMUS[cpu].with_probes.get()
}

/// Overflows so far on all CPUs, and of those, claims.
pub(super) fn totals() -> (u64, u64) {
    let sum = |part: fn(&Pmu) -> &Tally| PMUS.iter().map(|pmu| part(pmu).get()).sum();
    (sum(|pmu| &pmu.overflows), sum(|pmu| &pmu.claims))
}
