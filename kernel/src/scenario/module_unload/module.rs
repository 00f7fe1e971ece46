// SPDX-License-Identifier: MIT OR Apache-2.0
//! The module's data, which is its handler, and the one part of it that stays in the kernel.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use latchwork::{Claim, NmiContext, NmiHandler};

use super::code::Code;
use super::hand_over::{self, By};
use crate::paging;
use crate::scenario::{Tally, removals};

/// How long a call elsewhere waits for the removal to begin, in the rounds that want it.
pub(super) const MEETING_TURNS: u64 = 2_000;

/// Calls of the handler, as the kernel counts them before they touch anything of the module.
pub(super) static CALLS: Tally = Tally::new();

/// The content of the data page. The loader writes its words while the module is mapped nowhere;
/// later only the writers that they name do.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Module {
    /// Where the code page is mapped.
    pub(super) code: AtomicUsize,
    /// Where the number of removals is ([`removals::number_word`]).
    pub(super) removals: AtomicUsize,
    /// Calls that the code has begun and finished. Writer: the code.
    pub(super) begun: AtomicU64,
    pub(super) finished: AtomicU64,
    /// The code goes on until this is 0. Writer: CPU 0.
    pub(super) stuck: AtomicU64,
    /// How long calls on CPUs other than 0 wait for a removal to begin. Writer: CPU 0.
    pub(super) patience: AtomicU64,
}

impl Module {
    /// The initial data of a module whose code page is mapped at `code`.
    pub(super) fn new(code: usize) -> Self {
        Self {
            code: AtomicUsize::new(code),
            removals: AtomicUsize::new((&raw const *removals::number_word()).expose_provenance()),
            begun: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            stuck: AtomicU64::new(0),
            patience: AtomicU64::new(0),
        }
    }

    /// Calls in the code page now.
    pub(super) fn calls_inside(&self) -> u64 {
        let finished = self.finished.load(Ordering::SeqCst);
        self.begun.load(Ordering::SeqCst) - finished
    }
}

// SAFETY: touches atomics, waits as long as CPU 0 lets it at most, and its pages are mapped as long
// as it is registered; if they are not, the fault is what the scenario looks for, and ends the
// kernel.
unsafe impl NmiHandler for Module {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        let began_at = removals::number();
        CALLS.add(1);
        hand_over::carry_out(By::Itself, ctx);

        // A call that is late here faults on the data page, whatever this CPU remembers of it.
        paging::forget((&raw const *self).addr());
        let code = self.code.load(Ordering::Relaxed);
        let turns = if ctx.cpu() == 0 { 0 } else { self.patience.load(Ordering::Relaxed) };

        // And one that is late only here, on the code page.
        paging::forget(code);
        let code = core::ptr::with_exposed_provenance::<()>(code);
        // SAFETY: the word is the address of a copy of the code, which has this signature.
        let code = unsafe { core::mem::transmute::<*const (), Code>(code) };
        // SAFETY: the code page is mapped while the handler may run, and the code needs nothing but
        // its data.
        unsafe { code(self, turns) };

        removals::note_call(ctx, began_at);
        Claim::None
    }
}
