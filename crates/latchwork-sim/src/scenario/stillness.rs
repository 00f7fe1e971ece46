// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPUs that do not tick, take no interrupts, take no NMIs, or do not run for a while.

use super::{ONE_CPU, PMU_AND_EXTERNAL, Scenario, Step, TWO_CPUS, overflow};
use crate::{
    machine::{Bell, ExternalKind, Happening, Hardware, PmuKind, Route, Timing},
    policy::{Action, Ask, Plan},
};

const CALL_0: Step = Step::Do(Action::Send { to: 0, ask: Ask::Call });
const STOP_0: Step = Step::Do(Action::Send { to: 0, ask: Ask::Stop });
/// A CPU that opens a route owes a poll.
const OPEN_ROUTE: Step = Step::Do(Action::Unmask(Bell::External(0)));
const STOP_TICK: Step = Step::Do(Action::StopTick);

pub(super) static TICK_STOPS: Scenario = Scenario {
    name: "tick-stops",
    summary: "the tick stops while a debt is made",
    hardware: Hardware { externals: &[ExternalKind::level_held(Route::Bsp)], ..ONE_CPU },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[&[STOP_TICK]],
    happenings: &[(overflow(0), 2), (Happening::Assert(0), 1), (Happening::Step, 1)],
    long: &[(overflow(0), 60), (Happening::Assert(0), 40), (Happening::Hurry, 60)],
    timing: Timing { step_us: 700, horizon_us: 5_000, ..Timing::SHORT },
    ..Scenario::STILL
};

pub(super) static INTERRUPTS_OFF: Scenario = Scenario {
    name: "interrupts-off",
    summary: "the only CPU has interrupts off for long, and PMIs come all the while",
    hardware: Hardware { externals: &[ExternalKind::level_held(Route::Bsp)], ..ONE_CPU },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[&[Step::Busy(9_000)]],
    happenings: &[(overflow(0), 5), (Happening::Assert(0), 1)],
    long: &[(overflow(0), 60), (Happening::Assert(0), 40), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 9_000, horizon_us: 12_000, ..Timing::SHORT },
    ..Scenario::STILL
};

pub(super) static PARKED_FOR_LONG: Scenario = Scenario {
    name: "parked-for-long",
    summary: "a CPU is parked for longer than any grant lasts, with edges on their way to it",
    hardware: Hardware { pmu: PmuKind::Free { late_us: 300, max_late_edges: 1 }, ..TWO_CPUS },
    scripts: &[&[], &[CALL_0, STOP_0, STOP_TICK]],
    happenings: &[(overflow(0), 1)],
    long: &[(overflow(0), 2), (Happening::Hurry, 10)],
    timing: Timing { park_us: 15_000, quiet_us: 300, horizon_us: 16_000, ..Timing::SHORT },
    preemptions: 1,
    ..Scenario::STILL
};

pub(super) static PARKED_ON_A_POLL: Scenario = Scenario {
    name: "parked-on-a-poll",
    summary: "a CPU is asked to park while it polls outside an NMI; others still recover events",
    hardware: Hardware { externals: &[ExternalKind::level_held(Route::Some(&[1]))], ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[&[OPEN_ROUTE], &[Step::Wait(1_333), STOP_0]],
    happenings: &[(Happening::Assert(0), 1)],
    long: &[(overflow(0), 60), (overflow(1), 60), (Happening::Assert(0), 40)],
    timing: Timing { park_us: 4_500, quiet_us: 1_600, horizon_us: 6_000, ..Timing::SHORT },
    preemptions: 1,
    ..Scenario::STILL
};

pub(super) static SMI: Scenario = Scenario {
    name: "smi",
    summary: "an SMI inside a handler lets another NMI nest, as a fault's IRET does",
    hardware: Hardware { externals: &[ExternalKind::level_held(Route::Bsp)], ..ONE_CPU },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    happenings: &[
        (overflow(0), 1),
        (Happening::Assert(0), 1),
        (Happening::Smi { cpu: 0, unblocks: true }, 1),
    ],
    long: &[
        (overflow(0), 100),
        (Happening::Assert(0), 40),
        (Happening::Smi { cpu: 0, unblocks: true }, 20),
        (Happening::Smi { cpu: 0, unblocks: false }, 20),
        (Happening::Fault(0), 20),
        (Happening::Hurry, 40),
    ],
    ..Scenario::STILL
};

pub(super) static STALLED: Scenario = Scenario {
    name: "stalled",
    summary: "virtual CPUs do not run for a while, with edges under way to them",
    hardware: Hardware { externals: &[ExternalKind::per_event(Route::Bsp, 1)], ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    happenings: &[(overflow(0), 1), (Happening::Assert(0), 1), (Happening::Stall(0), 1)],
    long: &[
        (overflow(0), 60),
        (overflow(1), 60),
        (Happening::Assert(0), 2),
        (Happening::Stall(0), 10),
        (Happening::Stall(1), 10),
        (Happening::Hurry, 30),
    ],
    timing: Timing { quiet_us: 300, stall_us: 1_800, horizon_us: 3_700, ..Timing::SHORT },
    preemptions: 0,
    ..Scenario::STILL
};
