// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reports of unknown NMIs on their way from NMI context to the console.
//!
//! Each CPU has a small queue. Its producer is that CPU in NMI, where another NMI may nest; its consumer is that CPU's tick.
//! A slot goes `EMPTY → WRITING → FULL → EMPTY`; who fails to take an empty slot drops the report and counts that.

use core::cell::UnsafeCell;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use latchwork::{Mode, UnknownNmi};
use latchwork_x86::port61::NmiStatus;

use crate::console::println;
use crate::cpu::MAX_CPUS;

const SLOTS: usize = 8;

const EMPTY: usize = 0;
const WRITING: usize = 1;
const FULL: usize = 2;

struct Slot {
    state: AtomicUsize,
    report: UnsafeCell<Option<Readable>>,
}

// SAFETY: `report` is written by whoever moved the state from EMPTY to WRITING, and read by the one consumer while it is FULL.
unsafe impl Sync for Slot {}

struct Queue {
    next: AtomicUsize,
    dropped: AtomicUsize,
    slots: [Slot; SLOTS],
}

static QUEUES: [Queue; MAX_CPUS] = [const {
    Queue {
        next: AtomicUsize::new(0),
        dropped: AtomicUsize::new(0),
        slots: [const { Slot { state: AtomicUsize::new(EMPTY), report: UnsafeCell::new(None) } };
            SLOTS],
    }
}; MAX_CPUS];

/// What has been printed about one CPU.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Reports printed.
    pub(crate) reports: AtomicUsize,
    /// Unknown NMIs that those reports said were held back before them.
    pub(crate) suppressed: AtomicUsize,
    /// The instruction pointer of the last report.
    pub(crate) last_ip: AtomicUsize,
    /// The CPU that the last report names, plus one.
    pub(crate) last_cpu: AtomicUsize,
    /// What the last report says that port 0x61 read.
    pub(crate) last_port_61: AtomicUsize,
}

static TALLIES: [Tally; MAX_CPUS] = [const {
    Tally {
        reports: AtomicUsize::new(0),
        suppressed: AtomicUsize::new(0),
        last_ip: AtomicUsize::new(0),
        last_cpu: AtomicUsize::new(0),
        last_port_61: AtomicUsize::new(0),
    }
}; MAX_CPUS];

/// What has been printed about `cpu`.
pub(crate) fn tally(cpu: usize) -> &'static Tally {
    &TALLIES[cpu]
}

/// Queues a report for the tick. NMI-safe.
pub(super) fn push(report: Readable) {
    let Some(queue) = QUEUES.get(report.unknown.cpu) else {
        return;
    };
    let place = queue.next.fetch_add(1, Ordering::Relaxed) % SLOTS;
    let Some(slot) = queue.slots.get(place) else {
        return;
    };
    if slot.state.compare_exchange(EMPTY, WRITING, Ordering::Acquire, Ordering::Relaxed).is_err() {
        queue.dropped.fetch_add(1, Ordering::Relaxed);
        return;
    }
    // SAFETY: the exchange above gave the slot to this context alone.
    unsafe { *slot.report.get() = Some(report) };
    slot.state.store(FULL, Ordering::Release);
}

/// A report as people read it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Readable {
    /// The NMI.
    pub(super) unknown: UnknownNmi,
    /// What the chipset said about it then.
    pub(super) port_61: NmiStatus,
}

impl fmt::Display for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnknownNmi { cpu, ip, sp, mode, count, suppressed, .. } = self.unknown;
        let mode = match mode {
            Mode::User => "user",
            Mode::Kernel => "kernel",
        };
        write!(
            f,
            "unknown NMI on CPU {cpu}: in the {mode} at IP {ip:#018x}, SP {sp:#018x}; number {count} on this CPU"
        )?;
        if suppressed != 0 {
            write!(f, ", {suppressed} before it not reported")?;
        }
        write!(f, "; {}", self.port_61)
    }
}

/// Takes the queued reports of `cpu`, oldest first or nearly so. On that CPU, never in two contexts at once.
pub(super) fn drain(cpu: usize, mut each: impl FnMut(&Readable)) {
    let Some(queue) = QUEUES.get(cpu) else {
        return;
    };
    let oldest = queue.next.load(Ordering::Relaxed);
    for step in 0..SLOTS {
        let Some(slot) = queue.slots.get(oldest.wrapping_add(step) % SLOTS) else {
            continue;
        };
        if slot.state.load(Ordering::Acquire) != FULL {
            continue;
        }
        // SAFETY: the slot is full, and nobody writes it before it is empty again.
        let report = unsafe { *slot.report.get() };
        slot.state.store(EMPTY, Ordering::Release);
        if let Some(report) = report {
            each(&report);
        }
    }
}

/// Prints what is queued on `cpu`. That CPU's tick, interrupts off.
pub(crate) fn print_queued(cpu: usize) {
    let Some(tally) = TALLIES.get(cpu) else {
        return;
    };
    drain(cpu, |report| {
        println!("{report}");
        tally.last_ip.store(report.unknown.ip, Ordering::Relaxed);
        tally.last_cpu.store(report.unknown.cpu + 1, Ordering::Relaxed);
        tally.last_port_61.store(report.port_61.raw().into(), Ordering::Relaxed);
        tally.suppressed.fetch_add(report.unknown.suppressed, Ordering::Relaxed);
        tally.reports.fetch_add(1, Ordering::Release);
    });
    let dropped = QUEUES[cpu].dropped.swap(0, Ordering::Relaxed);
    if dropped != 0 {
        println!("{dropped} reports of unknown NMIs on CPU {cpu} were dropped: the queue was full");
    }
}
