// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rings that fail, senders that are many, routes that change.

use super::{ONE_CPU, PMU_AND_EXTERNAL, Scenario, Step, TWO_CPUS, overflow};
use crate::{
    machine::{Bell, ExternalKind, Happening, Hardware, Route, Timing, pmu::bit},
    policy::{Action, Ask, Plan},
};

const EXTERNAL: Bell = Bell::External(0);
const CALL_0: Action = Action::Send { to: 0, ask: Ask::Call };
const STOP_0: Action = Action::Send { to: 0, ask: Ask::Stop };

pub(super) static RING_FAILS: Scenario = Scenario {
    name: "ring-fails",
    summary: "a counter overflows while its driver looks, and the ring to look again fails",
    hardware: TWO_CPUS,
    scripts: &[&[], &[Step::Do(CALL_0)]],
    happenings: &[
        (overflow(0), 1),
        (Happening::Overflow { cpu: 0, bit: bit::COUNTER_1 }, 1),
        (Happening::RingFails(0), 1),
        (Happening::RingFails(1), 1),
    ],
    long: &[(overflow(0), 60), (Happening::RingFails(0), 10), (Happening::RingFails(1), 1)],
    preemptions: 0,
    is_strict: true,
    ..Scenario::STILL
};

pub(super) static STOP_WHOSE_RING_FAILS: Scenario = Scenario {
    name: "stop-whose-ring-fails",
    summary: "a CPU is asked to park while it polls outside an NMI, and a ring of its own fails",
    hardware: Hardware { externals: &[ExternalKind::level_held(Route::Some(&[1]))], ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[&[Step::Do(Action::Unmask(EXTERNAL))], &[Step::Wait(1_333), Step::Do(STOP_0)]],
    happenings: &[(Happening::RingFails(0), 1)],
    long: &[(overflow(0), 60), (Happening::RingFails(0), 3)],
    timing: Timing { quiet_us: 1_600, horizon_us: 4_500, ..Timing::SHORT },
    preemptions: 1,
    is_strict: true,
    ..Scenario::STILL
};

pub(super) static STOP_IN_REGISTRATION: Scenario = Scenario {
    name: "stop-in-registration",
    summary: "a CPU is asked to park while it registers a handler, and another one removes one",
    hardware: Hardware { cpus: 3, externals: &[ExternalKind::level_held(Route::Bsp)], ..ONE_CPU },
    scripts: &[
        &[Step::Do(Action::Register(EXTERNAL))],
        &[Step::Do(STOP_0)],
        &[Step::Do(Action::Remove(Bell::Lvt))],
    ],
    timing: Timing { quiet_us: 300, horizon_us: 3_000, ..Timing::SHORT },
    preemptions: 1,
    is_strict: true,
    ..Scenario::STILL
};

pub(super) static MANY_SENDS: Scenario = Scenario {
    name: "many-sends",
    summary: "one NMI takes the requests of many sends whose rings are all under way",
    hardware: TWO_CPUS,
    scripts: &[&[], &[Step::Repeat(70, CALL_0)]],
    happenings: &[],
    long: &[(overflow(0), 60), (Happening::Hurry, 30)],
    timing: Timing { quiet_us: 300, ..Timing::SHORT },
    preemptions: 0,
    is_strict: true,
    ..Scenario::STILL
};

pub(super) static CHAIN_OF_SENDS: Scenario = Scenario {
    name: "chain-of-sends",
    summary: "sends of two slow CPUs overlap for longer than one may hold grants",
    hardware: Hardware { cpus: 3, ..ONE_CPU },
    scripts: &[&[], &[Step::Do(CALL_0)], &[Step::Wait(400), Step::Repeat(2, CALL_0)]],
    happenings: &[(overflow(0), 1)],
    long: &[(overflow(0), 60), (Happening::Stall(1), 20), (Happening::Stall(2), 20)],
    timing: Timing { hold_us: 1_000, ring_us: 800, quiet_us: 2_000, ..Timing::SHORT },
    preemptions: 0,
    is_strict: true,
    ..Scenario::STILL
};

pub(super) static ROUTE_NARROWED: Scenario = Scenario {
    name: "route-narrowed",
    summary: "a line that rings all CPUs is made to ring one while its rings are under way",
    hardware: Hardware { externals: &[ExternalKind::level_held(Route::All)], ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[&[Step::Do(Action::SetRoute(EXTERNAL, Route::Bsp))]],
    happenings: &[(Happening::Assert(0), 1), (Happening::Step, 1)],
    long: &[(overflow(0), 60), (Happening::Assert(0), 40)],
    timing: Timing { quiet_us: 300, ..Timing::SHORT },
    preemptions: 0,
    is_strict: true,
    ..Scenario::STILL
};
