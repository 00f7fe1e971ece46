// SPDX-License-Identifier: MIT OR Apache-2.0
//! All scenarios.

use super::Scenario;
use crate::{
    machine::{Bell, ExternalKind, Happening, Hardware, PmuKind, Route, Timing, pmu::bit},
    policy::Plan,
};

/// All scenarios, by subject.
pub static SCENARIOS: &[&Scenario] = &[&PMI_COLLAPSE_EXTERNAL];

/// One external ring may collapse into a PMI.
static PMI_COLLAPSE_EXTERNAL: Scenario = Scenario {
    name: "pmi-collapse-external",
    summary: "the ring of an external line collapses into a PMI",
    hardware: Hardware {
        cpus: 1,
        pmu: PmuKind::Masking,
        externals: &[ExternalKind::level_held(Route::Bsp)],
        ..Hardware::BARE
    },
    plan: Plan { attended: &[Bell::Lvt, Bell::External(0)], on_pmi: None },
    scripts: &[],
    happenings: &[
        (Happening::Overflow { cpu: 0, bit: bit::COUNTER_0 }, 2),
        (Happening::Assert(0), 1),
    ],
    long: &[
        (Happening::Overflow { cpu: 0, bit: bit::COUNTER_0 }, 50),
        (Happening::Assert(0), 20),
        (Happening::Hurry, 50),
    ],
    timing: Timing::SHORT,
    long_us: 50_000,
    preemptions: 0,
    store_buffer: 0,
};
