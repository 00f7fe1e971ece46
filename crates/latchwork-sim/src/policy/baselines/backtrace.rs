// SPDX-License-Identifier: MIT OR Apache-2.0
//! Linux's backtraces of other CPUs (`nmi_trigger_cpumask_backtrace`, `nmi_cpu_backtrace`): one
//! request at a time in the whole machine. A sender that finds the flag set gives up; one that
//! finds it clear waits for the answers.
//!
//! This model leaves out the end of the wait after ten seconds, which no scenario lasts.

use latchwork::simulation::{AtomicBool, AtomicUsize, Ordering};

use super::drivers::note;
use crate::{
    driver::{lapic, report},
    engine,
};

/// What all CPUs share.
pub(super) struct Backtraces {
    /// `backtrace_flag`: a CPU asks. The asking CPU sets it by a locked instruction, and clears it.
    flag: AtomicBool,
    /// `backtrace_mask`: the CPUs that have not answered yet. The asking CPU sets it by a plain
    /// store. Each CPU reads it by a plain load, and clears its own bit by a locked instruction.
    mask: AtomicUsize,
}

impl Backtraces {
    /// Nobody asks.
    pub(super) const fn new() -> Self {
        Self { flag: AtomicBool::new(false), mask: AtomicUsize::new(0) }
    }

    /// Asks that CPU, and waits for it.
    pub(super) fn send(&self, to: usize) {
        report::send_begins(to);
        if self.flag.swap(true, Ordering::AcqRel) {
            report::send_ends(false);
            return;
        }
        self.mask.store(1 << to, Ordering::Release);
        lapic::send_nmi(to);
        report::send_ends(true);
        while self.mask.load(Ordering::Acquire) != 0 {
            engine::relax();
        }
        self.flag.store(false, Ordering::Release);
    }

    /// The handler. Returns how many requests it has served.
    pub(super) fn handle(&self, cpu: usize) -> usize {
        if self.mask.load(Ordering::Relaxed) & 1 << cpu == 0 {
            return 0;
        }
        self.mask.fetch_and(!(1 << cpu), Ordering::AcqRel);
        report::served(1, 1);
        note(|| "is asked for a backtrace".to_owned());
        1
    }
}
