// SPDX-License-Identifier: MIT OR Apache-2.0
//! A handler whose code and data lie in pages of their own, which are unmapped as soon as its removal is over: a call that is late
//! faults.
//!
//! # What a late call is
//!
//! The registry stores two words of a handler: its data, here the address of [`module::Module`] in the module's data page, and a
//! function that knows its type. That function, and the `handle` that it calls, are instances of the library's and this kernel's
//! code and stay in the kernel. `handle` is a thunk: it reads from the data page where the code page is, and jumps there. So
//! a call that is still to come when the pages go faults on the data page; one that has read its data, on its first
//! instruction in the code page; one that is in the code, on the next. Each call makes its CPU forget both pages before
//! it uses them, at each of its turns and before its last words, so what the CPU's TLB holds hides none of this.
//! Only what has passed the code's last counting is not seen: its one `ret`.
//!
//! Such a page fault, in an NMI and at an address of the window, is a late call: it ends the scenario with a check that failed and says
//! where ([`late_call`]). Any other exception is a panic.
//!
//! # What is done
//!
//! - [`rounds`]: the module is loaded, registered, removed and unloaded, each time in other pages and other frames, under a
//!   [storm](super::storm) of NMIs on all CPUs; the frames are poisoned. Every CPU is made to forget the pages, and then tries
//!   to read them.
//! - [`from_nmi`]: NMIs give the handler up by `try_remove`; the ticket says when the pages may go.
//! - [`deadline`]: removals that fail leave the registration whole.

mod code;
mod deadline;
mod from_nmi;
mod hand_over;
pub(crate) mod late_call;
mod loader;
mod module;
mod rounds;

use core::sync::atomic::AtomicBool;

use latchwork::Class;

use super::removals::{self, Closer, Opener};
use super::rings::{self, Answerer, LAST};
use super::storm::{self, Storm};
use super::{Progress, Run, Tally, check, check_nothing_unknown, check_requests_taken};
use crate::nmi::{self, steps};
use crate::paging::{shootdown, window};
use crate::{smp, time};
use deadline::Verdicts;
use hand_over::Remover;
use loader::Books;
use module::CALLS;
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
    let given_up = from_nmi::Verdicts::new();
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

    report_unloading(run, rounds, stormed_cpus);
    report_given_up(&given_up);
    report_failed(run, &failed);
    let (sent, stats) = (rings::sent(), run.stats());
    check_requests_taken(sent, &stats);
    check_nothing_unknown(&stats);
    run.totals(sent.saturating_sub(stats.requests as u64));

    for registration in [opener, remover, closer, answerer] {
        nmi::remove(registration);
    }
}

fn report_unloading(run: &Run, rounds: u64, stormed_cpus: usize) {
    let Books { loaded, begun, finished, probes, readable } = loader::books();
    let calls = CALLS.get();
    check(
        "removals",
        removals::ended() >= ROUNDS,
        format_args!("{ROUNDS} or more modules loaded, removed and unloaded"),
        format_args!("{} of {rounds}, {loaded} modules in all", removals::ended()),
    );
    check(
        "no-late-call",
        calls != 0,
        format_args!(
            "0 calls that touch a page of the module after it is unmapped, of more than 0"
        ),
        format_args!("0 of {calls} calls"),
    );
    check(
        "calls-over-when-unmapped",
        begun == calls && finished == calls && calls != 0,
        format_args!(
            "{calls} calls begun and finished by code in its own page before the page went"
        ),
        format_args!("{begun} begun, {finished} finished"),
    );
    check(
        "gone-on-every-cpu",
        readable == 0 && probes == 2 * run.cpus * loaded && probes != 0,
        format_args!("every read of 2 pages of {loaded} modules on {} CPUs faults", run.cpus),
        format_args!("{readable} of {probes} did not"),
    );
    check(
        "storm-on-all-cpus",
        stormed_cpus == run.cpus,
        format_args!("NMIs answered by {} CPUs", run.cpus),
        format_args!("by {stormed_cpus}, {} NMIs in all", run.stats().edges),
    );
    check(
        "dispatches-overlapped-removals",
        removals::overlaps() != 0,
        format_args!("more than 0 dispatches that began or ended during a removal"),
        format_args!("{}", removals::overlaps()),
    );
    if run.cpus > 1 {
        check(
            "removals-began-during-calls",
            removals::surprised_elsewhere() != 0,
            format_args!("more than 0 calls on another CPU during which a removal began"),
            format_args!("{}", removals::surprised_elsewhere()),
        );
    }
}

fn report_given_up(verdicts: &from_nmi::Verdicts) {
    let wanted = from_nmi::Verdicts::WANTED;
    let [by_itself, by_another, on_top_of_writer] = verdicts.removed.each_ref().map(Tally::get);
    check(
        "removed-from-nmis",
        verdicts.removed.iter().all(|removed| removed.get() == wanted),
        format_args!(
            "handlers removed in an NMI: {wanted} by themselves, {wanted} by another, {wanted} of those on top of a registration \
             or removal"
        ),
        format_args!("{by_itself}, {by_another}, {on_top_of_writer}"),
    );
    let all = verdicts.all();
    check(
        "tickets-over-after-their-nmi",
        verdicts.over_at_once.get() == 0 && verdicts.over.get() == all && all != 0,
        format_args!("{all} tickets over, none in the NMI that got it"),
        format_args!("{} over, {} in their NMI", verdicts.over.get(), verdicts.over_at_once.get()),
    );
    let asked_after = hand_over::ASKED_AFTER.get();
    check(
        "not-asked-after-try-remove",
        asked_after == 0 && all != 0,
        format_args!("0 calls on the CPU that gave the handler up, in {all} removals"),
        format_args!("{asked_after}"),
    );
}

fn report_failed(run: &Run, verdicts: &deadline::Verdicts) {
    let Verdicts { named, whole_after_deadline, refused, whole_after_refusal } = *verdicts;
    let others = run.cpus as u64 - 1;
    if others != 0 {
        check(
            "deadline-names-handler-and-cpu",
            named == others,
            format_args!(
                "{others} removals of stuck handlers given up, each naming handler and CPU"
            ),
            format_args!("{named}"),
        );
        check(
            "registration-whole-after-deadline",
            whole_after_deadline == others,
            format_args!("{others} handlers asked again after that, and removed"),
            format_args!("{whole_after_deadline}"),
        );
    }
    let cpus = run.cpus as u64;
    check(
        "waiting-for-itself-refused",
        refused == cpus && whole_after_refusal == cpus,
        format_args!(
            "{cpus} removals that would wait for their own NMI refused, naming the CPU; handlers asked again, and removed"
        ),
        format_args!("{refused} refused, {whole_after_refusal} whole"),
    );
}
