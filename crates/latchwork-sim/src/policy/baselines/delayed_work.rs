// SPDX-License-Identifier: MIT OR Apache-2.0
//! The series of 2014 for Linux, "x86, nmi: Implement delayed irq_work mechanism to handle lost
//! NMIs" (Don Zickus, 15 May 2014, discussed on linux-kernel with Peter Zijlstra; never merged).
//!
//! After each claimed NMI the kernel queues a work item. At this CPU's next tick the item sets this
//! CPU's flag and sends the CPU an NMI: the dummy, for which the kernel asks all handlers once
//! more. If no handler claims the dummy, the kernel finds the flag set, clears it and reports
//! nothing.
//!
//! * There is one item for the whole machine: while it waits on one CPU, another CPU cannot queue
//!   it.
//! * After it has queued the item, the kernel clears the flag unless the item is BUSY. Queueing
//!   itself sets BUSY, so *as posted* the kernel never clears the flag there. *As intended* by the
//!   comment, BUSY means that the item ran when it was queued.
//! * A dummy in whose NMI a handler claims something does not clear the flag. The next dummy of
//!   this CPU does, if there is one.
//!
//! CPUs change the item's flags with locked instructions, as in `kernel/irq_work.c` of that time.
//! The accesses to a CPU's own flag are plain, but the item sets it by an exchange.
//!
//! This model leaves out the interrupt that runs lazy work where the tick is stopped.

use std::{cell::Cell, hash::Hash};

use latchwork::simulation::{AtomicBool, AtomicUsize, Ordering};

use super::drivers::note;
use crate::{
    driver::{lapic, report},
    engine::Fingerprint,
    machine::{Bell, Ending, current},
};

/// The most CPUs that it runs on: those on which costs are measured.
const CPUS: usize = 256;

const PENDING: usize = 1 << 0;
const BUSY: usize = 1 << 1;

/// `nmi_delayed_work`, and what belongs to it.
pub(super) struct DelayedWork {
    item_flags: AtomicUsize,
    cpus: [PerCpu; CPUS],
}

struct PerCpu {
    /// The item is in this CPU's list.
    listed: AtomicBool,
    /// `nmi_delayed_work_pending`: a dummy is expected.
    expected: AtomicBool,
    /// How many dummies the CPU has not taken yet. Kept for the monitors.
    on_their_way: Cell<usize>,
    /// The flag is set for a dummy that has not rung yet. Kept for the monitors.
    is_sending: Cell<bool>,
    /// A dummy rang for the NMI in progress, or for one that nests in it. Kept for the monitors.
    has_come: Cell<bool>,
    /// How many NMIs the CPU is in.
    depth: Cell<usize>,
}

impl DelayedWork {
    /// Nothing is queued.
    pub(super) const fn new() -> Self {
        let cpus = [const {
            PerCpu {
                listed: AtomicBool::new(false),
                expected: AtomicBool::new(false),
                on_their_way: Cell::new(0),
                is_sending: Cell::new(false),
                has_come: Cell::new(false),
                depth: Cell::new(0),
            }
        }; CPUS];
        Self { item_flags: AtomicUsize::new(0), cpus }
    }

    /// `nmi_queue_work`, in an NMI that was claimed.
    pub(super) fn queue(&self, cpu: usize, as_intended: bool) {
        let cpu = &self.cpus[cpu];
        let before = self.item_flags.fetch_or(PENDING | BUSY, Ordering::AcqRel);
        if before & PENDING != 0 {
            note(|| "queues no dummy: one is queued".to_owned());
            return;
        }
        cpu.listed.swap(true, Ordering::AcqRel);
        note(|| "queues a dummy".to_owned());
        let flags = match as_intended {
            true => before,
            false => self.item_flags.load(Ordering::Relaxed),
        };
        if flags & BUSY == 0 {
            cpu.expected.store(false, Ordering::Relaxed);
            note(|| "clears the flag".to_owned());
        }
    }

    /// `nmi_queue_work_clear`, in an NMI that no handler has claimed. Returns how it ends, if the
    /// kernel takes it for the dummy.
    pub(super) fn swallow(&self, cpu: usize) -> Option<Ending> {
        let cpu = &self.cpus[cpu];
        let expected = cpu.expected.load(Ordering::Relaxed);
        cpu.expected.store(false, Ordering::Relaxed);
        if !expected {
            return None;
        }
        note(|| "takes it for the dummy, clears the flag".to_owned());
        // No software can know which of two edges is the dummy, so the edge counts as the policy's
        // own as long as there is a dummy.
        let has_dummy = cpu.has_come.get() || cpu.on_their_way.get() != 0 || cpu.is_sending.get();
        Some(if has_dummy { Ending::Claimed } else { Ending::Absorbed })
    }

    /// `nmi_delayed_work_func`, if the item is in this CPU's list. Interrupts are off.
    pub(super) fn tick(&self, number: usize) {
        let cpu = &self.cpus[number];
        if !cpu.listed.load(Ordering::Relaxed) || !cpu.listed.swap(false, Ordering::AcqRel) {
            return;
        }
        self.item_flags.swap(BUSY, Ordering::AcqRel);
        cpu.expected.swap(true, Ordering::AcqRel);
        cpu.is_sending.set(true);
        note(|| "sets the flag".to_owned());
        lapic::send_nmi(number);
        note(|| "has sent the dummy".to_owned());
        // In x2APIC mode, nothing comes between the ring and this.
        cpu.on_their_way.set(cpu.on_their_way.get() + 1);
        cpu.is_sending.set(false);
        // Fails if a CPU has queued it meanwhile.
        let _ = self.item_flags.compare_exchange(BUSY, 0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Tells the monitors whether a dummy rang for the NMI that begins: the dummy asks for all
    /// handlers to be asked, which the kernel does now. The policy only uses it to tell whether an
    /// edge that it swallows is its own.
    pub(super) fn nmi_begins(&self, number: usize) {
        let cpu = &self.cpus[number];
        let on_their_way = current().with(|state| {
            let under_way = state.wire.landings().any(|it| it == (number, Bell::Software));
            usize::from(under_way || state.cpus[number].latch.has(Bell::Software))
        });
        let sent = cpu.on_their_way.replace(on_their_way.min(cpu.on_their_way.get()));
        let depth = cpu.depth.replace(cpu.depth.get() + 1);
        cpu.has_come.set(on_their_way < sent || (depth != 0 && cpu.has_come.get()));
        if on_their_way < sent {
            report::served(sent - on_their_way, 0);
        }
    }

    /// An NMI ends.
    pub(super) fn nmi_ends(&self, number: usize) {
        let cpu = &self.cpus[number];
        cpu.depth.set(cpu.depth.get() - 1);
    }

    /// Takes in what is not in simulated atomics.
    pub(super) fn fold(&self, fingerprint: &mut Fingerprint) {
        for cpu in &self.cpus {
            let judged = (cpu.on_their_way.get(), cpu.is_sending.get(), cpu.has_come.get());
            (judged, cpu.depth.get()).hash(fingerprint);
        }
    }
}
