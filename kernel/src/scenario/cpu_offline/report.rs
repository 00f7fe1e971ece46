// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verdicts.

use core::sync::atomic::{AtomicU64, Ordering};

use super::super::{Run, check, check_nothing_unknown};
use super::handlers::{CALLS, CALLS_AWAY, LATE_CALLS};
use super::subject::{OFFLINE, ONLINE};
use super::{RINGS_AWAY, SAW, seat};
use crate::time;

/// How long an NMI of an offline CPU may take, other CPUs' turns and a busy host included.
const SLOWEST_US: u64 = 1_000_000;
const SLOWEST_INSTRUCTION_US: u64 = 100;

pub(super) fn report(run: &Run, rounds: u64) {
    let stats = run.stats();
    let offline = stats.offline as u64;
    let returned = SAW.returned.get();
    check(
        "went-and-came-back",
        returned == rounds && SAW.went_by_themselves.get() >= rounds / 3,
        format_args!("{rounds} times, a third of them or more by themselves"),
        format_args!(
            "{returned} times: {} by themselves, {} stopped by INIT",
            SAW.went_by_themselves.get(),
            SAW.stopped.get()
        ),
    );
    check(
        "stopped-inside-handlers",
        SAW.stopped_inside.get() >= rounds / 4,
        format_args!("{} times or more", rounds / 4),
        format_args!("{}", SAW.stopped_inside.get()),
    );
    check(
        "nmis-while-offline",
        offline >= RINGS_AWAY * rounds,
        format_args!("{} or more, counted by the library", RINGS_AWAY * rounds),
        format_args!("{offline}"),
    );
    if run.cpus > 2 {
        check(
            "storm-meanwhile",
            SAW.edges_meanwhile.get() >= rounds,
            format_args!("{rounds} or more NMIs of the other CPUs while one was away"),
            format_args!("{}", SAW.edges_meanwhile.get()),
        );
    }
    check(
        "no-call-while-offline",
        CALLS_AWAY.get() == 0 && CALLS.get() != 0,
        format_args!("0 calls of handlers on CPUs that were away, more than 0 elsewhere"),
        format_args!("{} there, {} of the victim in all", CALLS_AWAY.get(), CALLS.get()),
    );
    report_time();
    report_removals(rounds);
    report_account(run, rounds);
}

/// Checks that a CPU that is offline answers its own NMI no later than one that is online. Where
/// time is not counted in instructions, the two times are close, and the measurement is rough.
fn report_time() {
    let us = |ticks: u64| ticks.saturating_mul(1000) / time::ticks_per_ms();
    let load = |ticks: &AtomicU64| ticks.load(Ordering::Relaxed);
    let (times, limit_us) =
        if time::is_instruction_clock() { (1, SLOWEST_INSTRUCTION_US) } else { (2, SLOWEST_US) };
    let online = load(&ONLINE.quickest);
    let (quickest, slowest) = (load(&OFFLINE.quickest), load(&OFFLINE.slowest));
    check(
        "offline-nmis-return-at-once",
        quickest <= online.saturating_mul(times) && online != u64::MAX && us(slowest) <= limit_us,
        format_args!(
            "to itself at best {times} times the {online} ticks of a CPU that is online, at worst \
             {limit_us} us"
        ),
        format_args!("{quickest} ticks at best, {} us at worst", us(slowest)),
    );
}

fn report_removals(rounds: u64) {
    let late = SAW.late_removals.get();
    check(
        "removals-do-not-wait",
        late == 0 && SAW.removals.get() == rounds,
        format_args!("{rounds} removals while a CPU was away, all in time"),
        format_args!(
            "{late} of {} late, for CPUs {:#b}; the longest took {} us",
            SAW.removals.get(),
            SAW.waited_for.load(Ordering::Relaxed),
            SAW.longest_removal_ticks.load(Ordering::Relaxed) * 1000 / time::ticks_per_ms()
        ),
    );
    check(
        "no-late-call",
        LATE_CALLS.get() == 0 && CALLS.get() != 0,
        format_args!("0 calls of the victim after its removal, of more than 0"),
        format_args!("{} of {}", LATE_CALLS.get(), CALLS.get()),
    );
    check(
        "polls-go-on",
        SAW.asked_after_probes.get() == SAW.probes.get() && SAW.probes.get() != 0,
        format_args!("the Platform handlers asked after each time that a CPU was stopped in one"),
        format_args!("{} of {} times", SAW.asked_after_probes.get(), SAW.probes.get()),
    );
}

fn report_account(run: &Run, rounds: u64) {
    let stats = run.stats();
    let (sent, bare) = (seat::sum(|seat| &seat.sent), seat::sum(|seat| &seat.bare));
    let (refused, cut) = (seat::sum(|seat| &seat.refused), seat::sum(|seat| &seat.cut));
    let taken = stats.requests as u64;
    let dropped = stats.requests_dropped as u64;
    // The library rings, by a request of its own, where a sender was stopped in a send. Such a ring
    // may be an edge of its own, or one with another.
    let rung_for_stopped = (taken + dropped).wrapping_sub(sent);
    let seen = (stats.edges + stats.offline) as u64;
    let rings_of_library = (seen + 2 * SAW.stopped_inside.get()).wrapping_sub(sent + bare);
    check(
        "every-ring-seen",
        rings_of_library <= rung_for_stopped,
        format_args!(
            "{} rings, less two for each of {} stops inside a handler, and {rung_for_stopped} of \
             the library's more at most",
            sent + bare,
            SAW.stopped_inside.get()
        ),
        format_args!("{} seen online, {} offline, {cut} cut", stats.edges, stats.offline),
    );
    check(
        "requests-taken-or-dropped",
        rung_for_stopped <= SAW.stopped_inside.get()
            && dropped >= SAW.stopped_inside.get()
            && dropped != 0,
        format_args!(
            "{sent} requests taken or dropped, one dropped for each stop inside a handler, and one \
             more at most for each of these"
        ),
        format_args!("{taken} taken, {dropped} dropped"),
    );
    check(
        "sends-refused-while-offline",
        refused >= RINGS_AWAY * rounds / 2,
        format_args!("{} or more sends to CPUs that are offline refused", RINGS_AWAY * rounds / 2),
        format_args!("{refused}"),
    );
    check_nothing_unknown(&stats);
    run.totals(sent.saturating_sub(taken + dropped));
}
