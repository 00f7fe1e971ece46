// SPDX-License-Identifier: MIT OR Apache-2.0
//! Linux's backtraces of other CPUs (`nmi_trigger_cpumask_backtrace`, `nmi_cpu_backtrace`): one
//! request at a time in the whole machine. A sender that finds the flag set goes away; one that
//! finds it clear waits for the answers.
//!
//! Left out: the end of the wait after ten seconds, which no scenario lasts.

use latchwork::simulation::{AtomicBool, AtomicUsize, Ordering};

use super::drivers::tell;
use crate::{
    driver::{lapic, report},
    engine,
};

/// What all CPUs share of it.
pub(super) struct Backtraces {
    /// `backtrace_flag`: somebody asks. Set by a locked instruction, cleared by who has set it.
    flag: AtomicBool,
    /// `backtrace_mask`: who has not answered yet. Set by who asks, plainly; each CPU looks plainly
    /// and clears its own bit by a locked instruction.
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

    /// The handler: how many requests it has served.
    pub(super) fn handle(&self, cpu: usize) -> usize {
        if self.mask.load(Ordering::Relaxed) & 1 << cpu == 0 {
            return 0;
        }
        self.mask.fetch_and(!(1 << cpu), Ordering::AcqRel);
        report::served(1, 1);
        tell(|| "is asked for a backtrace".to_owned());
        1
    }
}
