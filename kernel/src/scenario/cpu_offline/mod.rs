// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPUs go offline and come back while NMIs storm all of them.
//!
//! CPU 0 sends one CPU after the other away, in one of four ways ([`Way`]): it goes by itself and
//! halts with NMIs open, or it is stopped by INIT, outside any NMI, inside a Local handler, or
//! inside a Platform handler, and started again. While it is away its sender rings it past the
//! library, as a device would: these NMIs must return at once. Meanwhile CPU 0 removes a handler
//! that was registered before, and the removal must not wait for the CPU that is away, not even
//! where that CPU was stopped inside the handler.
//!
//! The scenario accounts for every ring ([`seat`]): its CPU saw it online, saw it offline, or a
//! stop cut it.

mod handlers;
mod report;
mod seat;
mod subject;

use core::sync::atomic::{AtomicU64, Ordering};

use latchwork::{Class, Registration, RemoveFailure, Request};

use super::{Progress, Run, Tally};
use crate::boot::start;
use crate::console::println;
use crate::nmi::{self, NMI};
use crate::waiting::{Awaited, awaited};
use crate::{patience, smp, time};
use handlers::{CALLS, LOCAL_WITNESS, PLATFORM_ASKED, PLATFORM_WITNESS, VICTIM};
use seat::Place;
use subject::{Mistakes, Order};

/// Times that a CPU goes away and comes back: fewer where a guest second costs most.
const ROUNDS: u64 = 360;
const ROUNDS_BY_INSTRUCTIONS: u64 = 120;

/// NMIs that a CPU sees while it is away, at least.
const RINGS_AWAY: u64 = 3;

/// How long a removal may take while a CPU is away.
const REMOVAL_LIMIT_MS: u64 = 2_000;
const REMOVAL_LIMIT_INSTRUCTION_MS: u64 = 20;

/// How long CPU 0 waits for anything else before it gives up.
const PATIENCE_MS: u64 = 10_000;
const PATIENCE_INSTRUCTION_MS: u64 = 100;

/// Turns of a wait of CPU 0's between two gusts.
const TURNS_A_GUST: u32 = 400;

/// The library asks the victim after the witnesses.
const VICTIM_PRIORITY: u8 = 100;

/// How a CPU goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By itself; it halts.
    ByItself,
    /// Stopped by INIT outside any NMI.
    StoppedInJob,
    /// Stopped by INIT inside the victim, a Local handler.
    StoppedInHandler,
    /// Stopped by INIT inside the victim, a Platform handler.
    StoppedInPoll,
}

const WAYS: [Way; 6] = [
    Way::ByItself,
    Way::StoppedInHandler,
    Way::ByItself,
    Way::StoppedInPoll,
    Way::ByItself,
    Way::StoppedInJob,
];

/// The ways that need no CPU inside a handler.
const WAYS_WITHOUT_NMIS: [Way; 2] = [Way::ByItself, Way::StoppedInJob];

impl Way {
    fn is_inside_a_handler(self) -> bool {
        matches!(self, Self::StoppedInHandler | Self::StoppedInPoll)
    }
}

/// What CPU 0 has seen.
struct Witness {
    went_by_themselves: Tally,
    stopped: Tally,
    stopped_inside: Tally,
    returned: Tally,
    removals: Tally,
    late_removals: Tally,
    /// The CPUs that late removals said they waited for, one bit each.
    waited_for: AtomicU64,
    longest_removal_ticks: AtomicU64,
    /// NMIs that the other CPUs took while one was away.
    edges_meanwhile: Tally,
    /// Probes of CPU 0 after a CPU was stopped inside a Platform handler, and those of them after
    /// which the library asked the Platform handlers.
    probes: Tally,
    asked_after_probes: Tally,
}

static SAW: Witness = Witness {
    went_by_themselves: Tally::new(),
    stopped: Tally::new(),
    stopped_inside: Tally::new(),
    returned: Tally::new(),
    removals: Tally::new(),
    late_removals: Tally::new(),
    waited_for: AtomicU64::new(0),
    longest_removal_ticks: AtomicU64::new(0),
    edges_meanwhile: Tally::new(),
    probes: Tally::new(),
    asked_after_probes: Tally::new(),
};

/// CPU 0's part.
struct Conductor {
    cpus: usize,
    mistakes: Mistakes,
    /// Whether CPU 0 tells the library about CPUs that it has stopped.
    marks: bool,
}

impl Conductor {
    /// Waits until `done`, while all other CPUs ring. Returns whether it came.
    fn wait(&self, awaited: Awaited, done: impl Fn() -> bool) -> bool {
        let limit_ms =
            if time::is_instruction_clock() { PATIENCE_INSTRUCTION_MS } else { PATIENCE_MS };
        let start_ticks = time::now_ticks();
        while !patience::spin_until(awaited, &done, TURNS_A_GUST) {
            if time::now_ticks().saturating_sub(start_ticks) > limit_ms * time::ticks_per_ms() {
                println!("gave up waiting for {awaited}");
                return false;
            }
            subject::blow();
            if !self.mistakes.no_storm {
                seat::ring(subject::target_of(0, self.cpus));
            }
        }
        true
    }

    /// Sends one CPU away and back. Returns whether all went as it should.
    fn round(&self, cpu: usize, way: Way) -> bool {
        let class = if way == Way::StoppedInPoll { Class::Platform } else { Class::Local };
        let victim = register_victim(class);
        let before = CALLS.get();
        let expect_calls = class == Class::Local && !self.mistakes.no_storm;
        let went = (!expect_calls
            || self.wait(awaited!("a call of the victim"), || CALLS.get() != before))
            && if way == Way::ByItself { self.send_away(cpu) } else { self.stop(cpu, way) };
        let removed = self.remove(victim, (went && way != Way::ByItself).then_some(cpu));
        if !went {
            return false;
        }
        if way == Way::StoppedInPoll {
            self.probe_here();
        }
        if way != Way::ByItself {
            handlers::set_trap(None);
            // SAFETY: it was stopped. Nothing relies on whatever it was doing: its job begins anew,
            // and the victim is removed.
            let started = unsafe { start::start_again(cpu) };
            assert!(started, "CPU {cpu} does not start again");
        }
        self.ring_while_away(cpu) && self.call_back(cpu) && removed
    }

    fn send_away(&self, cpu: usize) -> bool {
        subject::order(cpu, Order::Leave);
        let is_away = self.wait(awaited!("a CPU that goes"), || seat::of(cpu).is(Place::Away));
        SAW.went_by_themselves.add(u64::from(is_away));
        is_away
    }

    /// Lets the CPU come to the place of `way`, and stops it there.
    fn stop(&self, cpu: usize, way: Way) -> bool {
        let seat = seat::of(cpu);
        match way {
            Way::ByItself => {}
            Way::StoppedInJob => subject::order(cpu, Order::WaitToBeStopped),
            Way::StoppedInHandler => {
                subject::order(cpu, Order::Hush);
                if !self
                    .wait(awaited!("a CPU that hushes"), || subject::is_ordered(cpu, Order::Hushed))
                {
                    return false;
                }
                handlers::set_trap(Some(cpu));
            }
            Way::StoppedInPoll => {
                handlers::set_trap(Some(cpu));
                subject::order(cpu, Order::Probe);
            }
        }
        let is_trapped = || seat.is(Place::Trapped) && !seat.is_being_rung();
        if !self.wait(awaited!("a CPU that waits to be stopped"), is_trapped) {
            return false;
        }
        if way.is_inside_a_handler() {
            // Its NMI stays pending behind the one that the CPU is in, and the stop takes it away.
            seat::send(cpu, Request::Call);
            SAW.stopped_inside.add(1);
        }
        // SAFETY: it is another CPU, it spins and holds nothing but perhaps the library's poll
        // lock, and its seat is closed.
        unsafe { start::stop(cpu) };
        seat.cut.add(seat.due(cpu));
        if self.marks {
            mark(cpu);
        }
        SAW.stopped.add(1);
        true
    }

    /// Removes the victim, which no CPU may call from then on. Returns whether that was in time.
    fn remove(&self, victim: Registration, stopped: Option<usize>) -> bool {
        let limit_ms = if time::is_instruction_clock() {
            REMOVAL_LIMIT_INSTRUCTION_MS
        } else {
            REMOVAL_LIMIT_MS
        };
        let start_ticks = time::now_ticks();
        let removed = victim.remove_within_ms(limit_ms);
        let took_ticks = time::now_ticks().saturating_sub(start_ticks);
        SAW.longest_removal_ticks.fetch_max(took_ticks, Ordering::Relaxed);
        SAW.removals.add(1);
        let in_time = removed.is_ok();
        if let Err(error) = removed {
            println!("{error}");
            SAW.late_removals.add(1);
            if let RemoveFailure::StillRunning { cpu, .. } = error.failure {
                SAW.waited_for.fetch_or(1 << cpu, Ordering::Relaxed);
            }
            // Where CPU 0 has stopped a CPU and not marked it, the removal cannot end before it
            // does.
            stopped.into_iter().for_each(mark);
            nmi::remove(error.registration);
        }
        handlers::set_alive(false);
        in_time
    }

    /// Makes the library ask the Platform handlers, though another CPU was stopped while it asked
    /// them: by a probe of CPU 0, or, if some tick polls just then, by the poll that this owes.
    fn probe_here(&self) {
        let seat = seat::of(0);
        let before = PLATFORM_ASKED.get();
        seat.set(Place::Closed);
        if self.wait(awaited!("a closed seat"), || !seat.is_being_rung() && seat.due(0) == 0) {
            seat::send(0, Request::Probe);
            self.wait(awaited!("a probe"), || seat.due(0) == 0);
        }
        let asked = self
            .wait(awaited!("Platform handlers that are asked"), || PLATFORM_ASKED.get() != before);
        seat.set(Place::Here);
        SAW.probes.add(1);
        SAW.asked_after_probes.add(u64::from(asked));
    }

    fn ring_while_away(&self, cpu: usize) -> bool {
        let is_away = || seat::of(cpu).is(Place::Away);
        if !self.wait(awaited!("a CPU that has started"), is_away) {
            return false;
        }
        if self.mistakes.no_storm {
            return true;
        }
        let enough = seat::seen(cpu) + RINGS_AWAY;
        let edges = || {
            (0..self.cpus)
                .filter(|it| *it != cpu)
                .map(|it| seat::stats(it).edges as u64)
                .sum::<u64>()
        };
        let before = edges();
        let rang = self.wait(awaited!("NMIs of a CPU that is away"), || seat::seen(cpu) >= enough);
        SAW.edges_meanwhile.add(edges() - before);
        rang
    }

    fn call_back(&self, cpu: usize) -> bool {
        subject::order(cpu, Order::Return);
        let returned = self.wait(awaited!("a CPU that returns"), || {
            if self.mistakes.no_storm {
                seat::ring(cpu);
            }
            seat::of(cpu).is(Place::Here)
        });
        SAW.returned.add(u64::from(returned));
        returned
    }
}

/// Tells the library about a CPU that was stopped.
fn mark(cpu: usize) {
    // SAFETY: INIT has stopped the CPU, which did nothing but spin, and only CPU 0 starts or marks
    // CPUs.
    if let Err(error) = unsafe { NMI.mark_offline(cpu) } {
        panic!("CPU {cpu} could not be marked: {error}");
    }
    NMI.run_work();
}

fn register_victim(class: Class) -> Registration {
    handlers::set_alive(true);
    nmi::register("victim", class, VICTIM_PRIORITY, &VICTIM)
}

pub(super) fn run(run: &Run) {
    let least = if time::is_instruction_clock() { ROUNDS_BY_INSTRUCTIONS } else { ROUNDS };
    let rounds = run.cycles(least);
    let conductor = Conductor {
        cpus: run.cpus,
        mistakes: Mistakes {
            unannounced: run.has_fault("unannounced"),
            no_storm: run.has_fault("no-storm"),
        },
        marks: !run.has_fault("not-marked"),
    };
    let local = nmi::register("local-witness", Class::Local, 0, &LOCAL_WITNESS);
    let platform = nmi::register("platform-witness", Class::Platform, 0, &PLATFORM_WITNESS);

    time::shuffle_turns(time::SOME_PERIOD);
    let progress = Progress::new(rounds);
    let ways = if conductor.mistakes.no_storm { &WAYS_WITHOUT_NMIS[..] } else { &WAYS[..] };
    smp::on_all_cpus(&|cpu| {
        if cpu != 0 {
            subject::attend(cpu, run.cpus, conductor.mistakes);
            return;
        }
        for round in 0..rounds {
            let way = ways[(round % ways.len() as u64) as usize];
            let subject = 1 + (round / ways.len() as u64 % (run.cpus as u64 - 1)) as usize;
            if !conductor.round(subject, way) {
                break;
            }
            progress.at(round + 1);
        }
        subject::end_storm(run.cpus);
    });
    time::shuffle_turns(0);
    run.settle();
    report::report(run, rounds);
    nmi::remove(local);
    nmi::remove(platform);
}
