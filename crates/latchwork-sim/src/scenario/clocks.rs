// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clocks that step, or begin where nobody expects it.

use super::{ONE_CPU, PMU_AND_EXTERNAL, Scenario, TWO_CPUS, overflow};
use crate::{
    machine::{ExternalKind, Happening, Hardware, PmuKind, Route, Timing},
    policy::Plan,
};

const FREE: PmuKind = PmuKind::Free { late_us: 300, max_late_edges: 1 };

pub(super) static CLOCK_STEPS: Scenario = Scenario {
    name: "clock-steps",
    summary: "the clock of a CPU that stays online steps back, and rings come late afterwards",
    hardware: Hardware { pmu: FREE, ..ONE_CPU },
    happenings: &[(overflow(0), 2), (Happening::ClockSteps { cpu: 0, by_us: -900_000 }, 1)],
    long: &[(overflow(0), 60), (Happening::ClockSteps { cpu: 0, by_us: -90_000 }, 3)],
    timing: Timing { quiet_us: 2_500, horizon_us: 4_500, ..Timing::SHORT },
    is_strict: true,
    ..Scenario::STILL
};

/// More than half of what timestamps can say.
pub(super) static CLOCK_FAR_AHEAD: Scenario = Scenario {
    name: "clock-far-ahead",
    summary: "the clocks begin above half their range: a line, PMIs and a true unknown",
    hardware: Hardware {
        externals: &[ExternalKind::level_held(Route::All)],
        clock_ahead_us: 1 << 63,
        ..TWO_CPUS
    },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    happenings: &[(overflow(0), 1), (Happening::Assert(0), 1), (Happening::Press, 1)],
    long: &[(overflow(0), 60), (Happening::Assert(0), 40), (Happening::Press, 3)],
    timing: Timing { quiet_us: 300, ..Timing::SHORT },
    preemptions: 0,
    is_strict: true,
    ..Scenario::STILL
};
