// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scenario's checks.

use super::deadline::Failed;
use super::from_nmi::GivenUp;
use super::loader::{self, Books};
use super::module::CALLS;
use super::{ROUNDS, hand_over};
use crate::scenario::{Run, Tally, check, removals};

/// Checks the modules and the calls of their handlers.
pub(super) fn unloading(run: &Run, rounds: u64, stormed_cpus: usize) {
    let Books { loaded, begun, finished, probes, readable } = loader::books();
    let calls = CALLS.get();
    check(
        "removals",
        removals::ended() >= ROUNDS,
        format_args!("{ROUNDS} or more modules loaded, removed and unloaded"),
        format_args!("{} of {rounds}, {loaded} modules in all", removals::ended()),
    );
    // A late call ends the boot where it happens, with this same check.
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

/// Checks the removals in NMIs.
pub(super) fn given_up(verdicts: &GivenUp) {
    let wanted = GivenUp::WANTED;
    let [by_itself, by_another, on_top_of_writer] = verdicts.removed.each_ref().map(Tally::get);
    check(
        "removed-from-nmis",
        verdicts.removed.iter().all(|removed| removed.get() == wanted),
        format_args!(
            "handlers removed in an NMI: {wanted} by themselves, {wanted} by another, {wanted} of \
             those on top of a registration \
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

/// Checks the removals that had to fail.
pub(super) fn failed(run: &Run, verdicts: &Failed) {
    let Failed { named, whole_after_deadline, refused, whole_after_refusal } = *verdicts;
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
            "{cpus} removals that would wait for their own NMI refused, naming the CPU; handlers \
             asked again, and removed"
        ),
        format_args!("{refused} refused, {whole_after_refusal} whole"),
    );
}
