// SPDX-License-Identifier: MIT OR Apache-2.0
//! Edges that reach several CPUs at once, and true unknowns among edges that are none.

use super::{ONE_CPU, PMU_AND_EXTERNAL, Scenario, Step, TWO_CPUS, overflow};
use crate::{
    machine::{ExternalKind, Happening, Hardware, PmuKind, Route, Timing},
    policy::{Action, Ask, Plan},
};

const CALL_0: Step = Step::Do(Action::Send { to: 0, ask: Ask::Call });

pub(super) static BROADCAST: Scenario = Scenario {
    name: "broadcast",
    summary: "a line rings three CPUs at once, and one of them gets the poll",
    hardware: Hardware { cpus: 3, externals: &[ExternalKind::level_held(Route::All)], ..ONE_CPU },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    happenings: &[(Happening::Assert(0), 1)],
    long: &[(overflow(0), 60), (Happening::Assert(0), 40), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 300, horizon_us: 2_700, ..Timing::SHORT },
    preemptions: 0,
    ..Scenario::STILL
};

pub(super) static UNKNOWN_AND_CLAIMS: Scenario = Scenario {
    name: "unknown-and-claims",
    summary: "a true unknown comes among PMIs and two sends",
    hardware: TWO_CPUS,
    scripts: &[&[], &[CALL_0, CALL_0]],
    happenings: &[(overflow(0), 1), (Happening::Press, 1), (Happening::Step, 2)],
    long: &[(overflow(0), 60), (Happening::Press, 1), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 1_700, horizon_us: 2_700, step_us: 250, ..Timing::SHORT },
    preemptions: 1,
    ..Scenario::STILL
};

pub(super) static UNKNOWN_REPEATS: Scenario = Scenario {
    name: "unknown-repeats",
    summary: "a true unknown repeats under a load of claims that leave grants",
    hardware: Hardware { pmu: PmuKind::Free { late_us: 300, max_late_edges: 2 }, ..ONE_CPU },
    happenings: &[(overflow(0), 2), (Happening::Press, 1)],
    long: &[(overflow(0), 200), (Happening::Press, 1), (Happening::Hurry, 60)],
    timing: Timing {
        quiet_us: 11_000,
        horizon_us: 13_000,
        press_period_us: Some(5_200),
        ..Timing::SHORT
    },
    ..Scenario::STILL
};

pub(super) static UNKNOWN_DEFERRED: Scenario = Scenario {
    name: "unknown-deferred",
    summary: "a true unknown and a line ring all CPUs at once, and all but one find the poll \
              taken",
    hardware: Hardware {
        externals: &[ExternalKind::level_held(Route::All)],
        button: Route::All,
        ..TWO_CPUS
    },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    happenings: &[(Happening::Assert(0), 1), (Happening::Press, 1)],
    long: &[
        (overflow(0), 60),
        (Happening::Assert(0), 40),
        (Happening::Press, 3),
        (Happening::Hurry, 60),
    ],
    timing: Timing { quiet_us: 300, horizon_us: 2_700, ..Timing::SHORT },
    preemptions: 0,
    ..Scenario::STILL
};

pub(super) static UNKNOWN_ALONE: Scenario = Scenario {
    name: "unknown-alone",
    summary: "a true unknown rings both CPUs, one finds the poll taken, and nothing is claimed \
              that could explain it",
    hardware: Hardware {
        externals: &[ExternalKind::level_held(Route::All)],
        button: Route::All,
        ..TWO_CPUS
    },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    happenings: &[(Happening::Press, 1)],
    long: &[(overflow(0), 3), (Happening::Press, 6), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 300, ..Timing::SHORT },
    preemptions: 2,
    ..Scenario::STILL
};

pub(super) static POLL_TAKEN: Scenario = Scenario {
    name: "poll-taken",
    summary: "a line rings one CPU while another polls for a true unknown, which rings both",
    hardware: Hardware {
        externals: &[ExternalKind::level_held(Route::Some(&[1]))],
        button: Route::All,
        ..TWO_CPUS
    },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    happenings: &[(Happening::Assert(0), 1), (Happening::Press, 1)],
    long: &[(Happening::Assert(0), 40), (Happening::Press, 3), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 300, ..Timing::SHORT },
    preemptions: 1,
    ..Scenario::STILL
};
