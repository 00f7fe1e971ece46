// SPDX-License-Identifier: MIT OR Apache-2.0
//! A handler whose code and data lie in pages of their own, which CPU 0 unmaps as soon as the
//! removal is over: a late call faults.
//!
//! # What a late call is
//!
//! The registry stores two words of a handler: its data, here the address of [`module::Module`] in
//! the module's data page, and a function that knows its type. That function, and the `handle` that
//! it calls, are instances of the library's and this kernel's code and stay in the kernel. `handle`
//! is a thunk: it reads from the data page where the code page is, and jumps there. So a call that
//! is still to come when the pages go faults on the data page; one that has read its data, on its
//! first instruction in the code page; one that is in the code, on the next. Each call drops both
//! pages from its CPU's TLB before it uses them, at each of its turns and before its last count, so
//! the TLB hides none of this. The scenario misses only a call that has passed the last count: its
//! one `ret`.
//!
//! Such a page fault, in an NMI and at an address of the window, is a late call: it ends the
//! scenario with a check that failed and says where ([`late_call`]). Any other exception is a
//! panic.
//!
//! # What is done
//!
//! - [`rounds`]: CPU 0 loads, registers, removes and unloads the module, each time in other pages
//!   and other frames, under a [`storm`] of NMIs on all CPUs, and poisons the frames. Every CPU
//!   drops the pages from its TLB, and then tries to read them.
//! - [`from_nmi`]: NMIs give the handler up by `try_remove`; the ticket says when the pages may go.
//! - [`deadline`]: removals that fail leave the registration whole.

mod code;
mod deadline;
mod from_nmi;
mod hand_over;
pub(crate) mod late_call;
mod loader;
mod module;
mod report;
mod rounds;

use core::sync::atomic::AtomicBool;

use latchwork::Class;

use super::removals::{Closer, Opener};
use super::rings::{self, Answerer, LAST};
use super::storm::{self, Storm};
use super::{Progress, Run, check_nothing_unknown, check_requests_taken};
use crate::nmi::{self, steps};
use crate::paging::{shootdown, window};
use crate::{smp, time};
use hand_over::Remover;
use rounds::Mistakes;

/// Modules that are loaded, removed by a thread and unloaded.
const ROUNDS: u64 = 1_000;

static OPENER: Opener = Opener;
static CLOSER: Closer = Closer;
static REMOVER: Remover = Remover;
static ANSWERER: Answerer = Answerer;

pub(super) fn run(run: &Run) {
    let rounds = run.cycles(ROUNDS);
    let storm = Storm::of(run);
    let mistakes = Mistakes::of(run);
    if run.has_fault("no-shootdown") {
        shootdown::keep_translations();
    }
    window::open();
    late_call::watch(run.cpus);

    let opener = nmi::register("opener", Class::Local, 0, &OPENER);
    let remover = nmi::register("remover", Class::Local, 1, &REMOVER);
    let closer = nmi::register("closer", Class::Local, LAST - 1, &CLOSER);
    let answerer = nmi::register("answerer", Class::Local, LAST, &ANSWERER);

    time::shuffle_turns(time::SOME_PERIOD);
    let progress = Progress::new(rounds);
    let over = AtomicBool::new(false);
    let given_up = from_nmi::GivenUp::new();
    smp::on_all_cpus(&|cpu| {
        if cpu != 0 {
            if storm == Storm::Others {
                storm::keep_ringing(cpu, run.cpus, &over);
            }
            return;
        }
        steps::watch(storm != Storm::No);
        for round in 0..rounds {
            rounds::play(round, storm, run.cpus, mistakes);
            progress.at(round + 1);
        }
        from_nmi::play(run, storm, &given_up);
        steps::watch(false);
        storm::calm(&over);
    });
    time::shuffle_turns(0);
    run.settle();
    let stormed_cpus = (0..run.cpus).filter(|cpu| rings::answered(*cpu) != 0).count();
    let failed = deadline::play(run);
    run.settle();

    report::unloading(run, rounds, stormed_cpus);
    report::given_up(&given_up);
    report::failed(run, &failed);
    let (sent, stats) = (rings::sent(), run.stats());
    check_requests_taken(sent, &stats);
    check_nothing_unknown(&stats);
    run.totals(sent.saturating_sub(stats.requests as u64));

    for registration in [opener, remover, closer, answerer] {
        nmi::remove(registration);
    }
}
