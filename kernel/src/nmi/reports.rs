// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way of reports of unknown and absorbed NMIs, and of storms, from NMI context to the console.
//!
//! Each CPU has a small queue. Its producer is that CPU, in NMI, where another NMI may nest, or at
//! its tick; its consumer is that CPU's tick, or its idle loop. A slot goes
//! `EMPTY → WRITING → FULL → EMPTY`; a producer that fails to take an empty slot drops the report
//! and counts that.

use core::cell::UnsafeCell;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use latchwork::{AbsorbedNmi, Mode, Storm, StormSource, UnknownKind, UnknownNmi};
use latchwork_x86::port61::{Masking, NmiStatus};

use crate::console::println;
use crate::cpu::MAX_CPUS;
use crate::time;

const SLOTS: usize = 8;

const EMPTY: usize = 0;
const WRITING: usize = 1;
const FULL: usize = 2;

struct Slot {
    state: AtomicUsize,
    report: UnsafeCell<Option<Readable>>,
}

// SAFETY: `report` is written by whoever moved the state from EMPTY to WRITING, and read by the one
// consumer while it is FULL.
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
    /// Reports of unknown NMIs printed.
    pub(crate) reports: AtomicUsize,
    /// How many of them were of late sends.
    pub(crate) late_sends: AtomicUsize,
    /// Reports of absorbed NMIs printed.
    pub(crate) absorbed_reports: AtomicUsize,
    /// Unknown NMIs that the library held back before those reports, by their count.
    pub(crate) suppressed: AtomicUsize,
    /// The instruction pointer of the last report.
    pub(crate) last_ip: AtomicUsize,
    /// The CPU that the last report names, plus one.
    pub(crate) last_cpu: AtomicUsize,
    /// The reading of port 0x61 in the last report.
    pub(crate) last_port_61: AtomicUsize,
    /// Storms of NMIs that nobody claims: reports of a beginning, and of an end.
    pub(crate) unclaimed_storms_begun: AtomicUsize,
    pub(crate) unclaimed_storms_over: AtomicUsize,
}

static TALLIES: [Tally; MAX_CPUS] = [const {
    Tally {
        reports: AtomicUsize::new(0),
        late_sends: AtomicUsize::new(0),
        absorbed_reports: AtomicUsize::new(0),
        suppressed: AtomicUsize::new(0),
        last_ip: AtomicUsize::new(0),
        last_cpu: AtomicUsize::new(0),
        last_port_61: AtomicUsize::new(0),
        unclaimed_storms_begun: AtomicUsize::new(0),
        unclaimed_storms_over: AtomicUsize::new(0),
    }
}; MAX_CPUS];

impl Tally {
    fn count(&self, unknown: &UnknownNmi, port_61: NmiStatus) {
        self.last_ip.store(unknown.ip, Ordering::Relaxed);
        self.last_cpu.store(unknown.cpu + 1, Ordering::Relaxed);
        self.last_port_61.store(port_61.raw().into(), Ordering::Relaxed);
        self.suppressed.fetch_add(unknown.suppressed, Ordering::Relaxed);
        if unknown.kind == UnknownKind::LateSend {
            self.late_sends.fetch_add(1, Ordering::Relaxed);
        }
        self.reports.fetch_add(1, Ordering::Release);
    }

    fn count_storm(&self, storm: &Storm) {
        if let StormSource::Unclaimed { .. } = storm.source {
            let tally = match storm.count {
                0 => &self.unclaimed_storms_over,
                _ => &self.unclaimed_storms_begun,
            };
            tally.fetch_add(1, Ordering::Release);
        }
    }
}

/// What has been printed about `cpu`.
pub(crate) fn tally(cpu: usize) -> &'static Tally {
    &TALLIES[cpu]
}

/// Queues a report for the tick. NMI-safe.
pub(super) fn push(report: Readable) {
    let Some(queue) = QUEUES.get(report.cpu()) else {
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
pub(super) enum Readable {
    /// An NMI that nothing explains, and the reading of port 0x61 at that time.
    Unknown { unknown: UnknownNmi, port_61: NmiStatus },
    /// One of many that earlier claims explain.
    Absorbed(AbsorbedNmi),
    /// The beginning or the end of a storm, and the result of masking the chipset's sources.
    Storm { storm: Storm, masking: Option<Masking> },
}

impl Readable {
    const fn cpu(&self) -> usize {
        match self {
            Self::Unknown { unknown, .. } => unknown.cpu,
            Self::Absorbed(absorbed) => absorbed.cpu,
            Self::Storm { storm, .. } => storm.cpu,
        }
    }
}

impl fmt::Display for Readable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { unknown, port_61 } => {
                write_unknown(f, unknown)?;
                write!(f, "; {port_61}")
            }
            Self::Absorbed(absorbed) => write_absorbed(f, absorbed),
            Self::Storm { storm, masking } => write_storm(f, storm, masking.as_ref()),
        }
    }
}

const fn name_of(mode: Mode) -> &'static str {
    match mode {
        Mode::User => "user",
        Mode::Kernel => "kernel",
    }
}

fn write_unknown(f: &mut fmt::Formatter<'_>, unknown: &UnknownNmi) -> fmt::Result {
    let UnknownNmi { cpu, ip, sp, mode, kind, count, suppressed, .. } = *unknown;
    let mode = name_of(mode);
    write!(f, "unknown NMI on CPU {cpu}: ")?;
    match kind {
        UnknownKind::Deferred => {
            write!(f, "deferred and not explained since, at IP {ip:#018x}")?;
        }
        UnknownKind::LateSend => {
            write!(f, "perhaps a late send, in the {mode} at IP {ip:#018x}, SP {sp:#018x}")?;
        }
        _ => write!(f, "in the {mode} at IP {ip:#018x}, SP {sp:#018x}")?,
    }
    write!(f, "; number {count} on this CPU")?;
    if suppressed != 0 {
        write!(f, ", {suppressed} before it not reported")?;
    }
    Ok(())
}

fn write_absorbed(f: &mut fmt::Formatter<'_>, report: &AbsorbedNmi) -> fmt::Result {
    let AbsorbedNmi { cpu, ip, mode, kind, absorbable_ticks, absorbed, .. } = *report;
    let mode = name_of(mode);
    let absorbable_us = absorbable_ticks as u64 * 1_000 / time::ticks_per_ms();
    write!(
        f,
        "absorbed NMI on CPU {cpu}: in the {mode} at IP {ip:#018x}, by a grant ({kind:?}); one of \
         {absorbed} since the last report, \
         absorbable for {absorbable_us} us without a gap"
    )
}

fn write_storm(
    f: &mut fmt::Formatter<'_>,
    storm: &Storm,
    masking: Option<&Masking>,
) -> fmt::Result {
    write!(f, "{storm}")?;
    match masking {
        Some(masking) => write!(
            f,
            "; {masking}; if it goes on, mask what else rings here and has no handler: LINT0 or \
             LINT1, an I/O APIC entry, a message"
        ),
        None => Ok(()),
    }
}

/// Takes the queued reports of `cpu`, oldest first or nearly so. On that CPU, never in two contexts
/// at once.
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

/// Prints what is queued on `cpu`. That CPU's tick or idle loop, interrupts off.
pub(crate) fn print_queued(cpu: usize) {
    let Some(tally) = TALLIES.get(cpu) else {
        return;
    };
    drain(cpu, |report| {
        println!("{report}");
        match report {
            Readable::Unknown { unknown, port_61 } => tally.count(unknown, *port_61),
            Readable::Absorbed(_) => {
                tally.absorbed_reports.fetch_add(1, Ordering::Release);
            }
            Readable::Storm { storm, .. } => tally.count_storm(storm),
        }
    });
    let dropped = QUEUES[cpu].dropped.swap(0, Ordering::Relaxed);
    if dropped != 0 {
        println!("{dropped} reports of NMIs on CPU {cpu} were dropped: the queue was full");
    }
}
