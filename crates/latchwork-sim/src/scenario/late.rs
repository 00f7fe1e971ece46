// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rings that come late, or more often than the status says; and claims outside NMIs.

use super::{ONE_CPU, PMU_AND_EXTERNAL, Scenario, Step, TWO_CPUS, overflow};
use crate::{
    machine::{Bell, ExternalKind, Happening, Hardware, PmuKind, Route, Timing, pmu::bit},
    policy::{Action, Plan},
};

/// Counters whose status may merge the rings of all overflows that a scenario has.
const FREE_COUNTERS: PmuKind = PmuKind::Free { late_us: 300, max_late_edges: 2 };

pub(super) static AMD_COUNTERS: Scenario = Scenario {
    name: "amd-counters",
    summary: "counters that do not mask their entry ring once for each overflow, and late",
    hardware: Hardware { pmu: FREE_COUNTERS, ..ONE_CPU },
    happenings: &[
        (overflow(0), 2),
        (Happening::Overflow { cpu: 0, bit: bit::COUNTER_1 }, 1),
        (Happening::Step, 1),
        (Happening::Hurry, 1),
    ],
    long: &[(overflow(0), 3), (Happening::Step, 30), (Happening::Hurry, 30)],
    ..Scenario::STILL
};

pub(super) static MESSAGES_MERGE: Scenario = Scenario {
    name: "messages-merge",
    summary: "a device rings for each event, and its status merges them; a PMI comes along",
    hardware: Hardware { externals: &[ExternalKind::per_event(Route::Bsp, 2)], ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    happenings: &[(overflow(0), 1), (Happening::Assert(0), 2)],
    long: &[(overflow(0), 60), (Happening::Assert(0), 3), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 200, horizon_us: 1_700, ..Timing::SHORT },
    preemptions: 0,
    ..Scenario::STILL
};

pub(super) static ERROR_BLOCK: Scenario = Scenario {
    name: "error-block",
    summary: "firmware raises nothing new before its error block was acknowledged, and rings late",
    hardware: Hardware { externals: &[ExternalKind::error_block(Route::All)], ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    happenings: &[(overflow(0), 1), (Happening::Assert(0), 2)],
    long: &[(overflow(0), 60), (Happening::Assert(0), 40), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 200, horizon_us: 1_700, ..Timing::SHORT },
    preemptions: 0,
    ..Scenario::STILL
};

pub(super) static CLAIM_OUTSIDE: Scenario = Scenario {
    name: "claim-outside",
    summary: "a driver consumes its device's condition outside an NMI, while the rings are on \
              their way",
    hardware: Hardware { externals: &[ExternalKind::level_held(Route::All)], ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[&[], &[Step::Do(Action::ClaimOutside(Bell::External(0)))]],
    happenings: &[(overflow(0), 1), (Happening::Assert(0), 1)],
    long: &[(overflow(0), 60), (Happening::Assert(0), 40), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 300, horizon_us: 2_700, ..Timing::SHORT },
    preemptions: 0,
    ..Scenario::STILL
};

pub(super) static COUNTERS_STOPPED: Scenario = Scenario {
    name: "counters-stopped",
    summary: "a driver stops its counters and clears their status, whose ring comes late",
    hardware: Hardware { pmu: FREE_COUNTERS, ..ONE_CPU },
    scripts: &[&[
        Step::Wait(200),
        Step::Do(Action::ClaimOutside(Bell::Lvt)),
        Step::Wait(200),
        Step::Do(Action::ClaimOutside(Bell::Lvt)),
    ]],
    happenings: &[(overflow(0), 2), (Happening::Step, 2), (Happening::Hurry, 1)],
    long: &[(overflow(0), 2), (Happening::Step, 20), (Happening::Hurry, 20)],
    timing: Timing { step_us: 150, ..Timing::SHORT },
    ..Scenario::STILL
};
