// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts off for longer than the cap, slow claims outside NMIs, claims all the while, and NMIs
//! on top of what owes a poll.

use super::{ONE_CPU, PMU_AND_EXTERNAL, Scenario, Step, TWO_CPUS, overflow};
use crate::{
    machine::{Bell, ExternalKind, Happening, Hardware, PmuKind, Route, Timing},
    policy::{Action, Ask, Plan},
};

const EXTERNAL: Bell = Bell::External(0);
const CALL_0: Action = Action::Send { to: 0, ask: Ask::Call };
/// A cap that executions can outlast.
const SHORT_CAP: Timing = Timing { cap_us: 2_000, hold_us: 2_000, ..Timing::SHORT };

pub(super) static SLOW_CLAIM: Scenario = Scenario {
    name: "slow-claim",
    summary: "a driver takes longer than the cap to consume its condition outside an NMI",
    hardware: Hardware { pmu: PmuKind::Free { late_us: 300, max_late_edges: 1 }, ..ONE_CPU },
    scripts: &[&[Step::Wait(200), Step::Do(Action::ClaimOutside(Bell::Lvt))]],
    happenings: &[(overflow(0), 2), (Happening::Step, 1)],
    long: &[(overflow(0), 60), (Happening::Step, 20)],
    timing: Timing { claim_us: 3_000, quiet_us: 3_500, horizon_us: 5_000, ..SHORT_CAP },
    is_strict: true,
    ..Scenario::STILL
};

pub(super) static CLAIMS_ALL_THE_WHILE: Scenario = Scenario {
    name: "claims-all-the-while",
    summary: "claims come all the while that a CPU has interrupts off, and long after those that \
              left grants two true unknowns",
    hardware: TWO_CPUS,
    scripts: &[&[Step::Busy(4_500)], &[Step::Repeat(2, CALL_0)]],
    happenings: &[(overflow(0), 2), (Happening::Press, 2)],
    long: &[(overflow(0), 60), (Happening::Press, 3)],
    timing: Timing { quiet_us: 3_500, horizon_us: 5_000, ..SHORT_CAP },
    preemptions: 0,
    is_strict: true,
    ..Scenario::STILL
};

pub(super) static OWING_ON_TOP: Scenario = Scenario {
    name: "owing-on-top",
    summary: "NMIs come on top while a CPU whose tick is stopped owes a poll",
    hardware: Hardware { externals: &[ExternalKind::level_held(Route::Bsp)], ..ONE_CPU },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[&[Step::Do(Action::StopTick), Step::Do(Action::Unmask(EXTERNAL))]],
    happenings: &[(overflow(0), 1), (Happening::Assert(0), 2), (Happening::Hurry, 1)],
    long: &[(overflow(0), 60), (Happening::Assert(0), 40), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 150, horizon_us: 2_700, ..Timing::SHORT },
    is_strict: true,
    ..Scenario::STILL
};
