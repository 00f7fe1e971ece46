// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scenarios in which other people's NMI code breaks: as little of a machine as that takes.

use super::{Scenario, Step};
use crate::{
    machine::{
        Bell, ExternalKind, Happening, Hardware, PmuKind, Route, Timing,
        pmu::bit::{COUNTER_0, TOPA},
        port61::bit::SERR,
    },
    policy::{Action, Ask, Plan},
};

const ONE_CPU: Hardware = Hardware { cpus: 1, pmu: PmuKind::Masking, ..Hardware::BARE };
const TWO_CPUS: Hardware = Hardware { cpus: 2, ..ONE_CPU };
const PMIS: &[Bell] = &[Bell::Lvt];
const PMIS_AND_EXTERNAL: &[Bell] = &[Bell::Lvt, Bell::External(0)];

const OVERFLOW: Happening = Happening::Overflow { cpu: 0, bit: COUNTER_0 };
const BUFFER_FULL: Happening = Happening::Overflow { cpu: 0, bit: TOPA };

/// CPU 1 stops CPU 0.
const SECOND_STOPS_FIRST: &[&[Step]] =
    &[&[], &[Step::Do(Action::Send { to: 0, ask: Ask::Stop })]];

/// One CPU and its PMIs.
const PMIS_ON_ONE_CPU: Scenario = Scenario {
    name: "pmis-alone",
    summary: "PMIs, and nothing else",
    hardware: ONE_CPU,
    plan: Plan { attended: PMIS, on_pmi: None },
    scripts: &[],
    happenings: &[(OVERFLOW, 3)],
    long: &[(OVERFLOW, 50), (Happening::Hurry, 50)],
    timing: Timing { quiet_us: 2_000, ..Timing::SHORT },
    long_us: 50_000,
    preemptions: 0,
    store_buffer: 0,
};

/// Nothing but PMIs.
pub(crate) static PMIS_ALONE: Scenario = PMIS_ON_ONE_CPU;

/// What a policy sends to itself, and a source without status.
pub(crate) static UNKNOWN_AMONG_PMIS: Scenario = Scenario {
    name: "unknown-among-pmis",
    summary: "PMIs, and one NMI of a source without status",
    happenings: &[(OVERFLOW, 2), (Happening::Press, 1)],
    long: &[(OVERFLOW, 50), (Happening::Press, 10), (Happening::Hurry, 50)],
    ..PMIS_ON_ONE_CPU
};

/// Long enough for a claim to explain nothing any more.
pub(crate) static UNKNOWN_AFTER_PMI: Scenario = Scenario {
    name: "unknown-after-pmi",
    summary: "a PMI whose edge may come late, and long after it an NMI of a source without status",
    hardware: Hardware { pmu: PmuKind::Free { late_us: 100, max_late_edges: 1 }, ..ONE_CPU },
    happenings: &[(OVERFLOW, 1), (Happening::Press, 1)],
    long: &[(OVERFLOW, 50), (Happening::Press, 10), (Happening::Hurry, 50)],
    timing: Timing { quiet_us: 3_000, horizon_us: 5_000, ..Timing::SHORT },
    ..PMIS_ON_ONE_CPU
};

/// Seed 000's problem.
pub(crate) static PMI_COLLAPSE_PORT61: Scenario = Scenario {
    name: "pmi-collapse-port61",
    summary: "the ring of port 0x61's line collapses into a PMI",
    hardware: Hardware { port61: Some(Route::Bsp), ..ONE_CPU },
    plan: Plan { attended: &[Bell::Lvt, Bell::Port61], on_pmi: None },
    happenings: &[(OVERFLOW, 2), (Happening::AssertPort61(SERR), 1)],
    long: &[(OVERFLOW, 50), (Happening::AssertPort61(SERR), 20), (Happening::Hurry, 50)],
    ..PMIS_ON_ONE_CPU
};

/// PT without counters.
pub(crate) static TOPA_ALONE: Scenario = Scenario {
    name: "topa-alone",
    summary: "PT's buffer is full, and full again while that is handled",
    happenings: &[(BUFFER_FULL, 2)],
    long: &[(BUFFER_FULL, 50), (Happening::Hurry, 50)],
    ..PMIS_ON_ONE_CPU
};

/// A stop and nothing else.
pub(crate) static STOP_ALONE: Scenario = Scenario {
    name: "stop-alone",
    summary: "one CPU stops the other, and nothing else happens",
    hardware: TWO_CPUS,
    scripts: SECOND_STOPS_FIRST,
    happenings: &[],
    long: &[(Happening::Hurry, 5)],
    preemptions: 1,
    ..PMIS_ON_ONE_CPU
};

/// Two claims in one NMI.
pub(crate) static STOP_AND_PMI: Scenario = Scenario {
    name: "stop-and-pmi",
    summary: "one CPU stops the other, which takes a PMI meanwhile",
    happenings: &[(OVERFLOW, 1)],
    long: &[(OVERFLOW, 50), (Happening::Hurry, 50)],
    ..STOP_ALONE
};

/// Three claims in one NMI.
pub(crate) static STOP_PMI_AND_EXTERNAL: Scenario = Scenario {
    name: "stop-pmi-and-external",
    summary: "one CPU stops the other, which has a PMI and an external event meanwhile",
    hardware: Hardware { externals: &[ExternalKind::level_held(Route::Bsp)], ..TWO_CPUS },
    plan: Plan { attended: PMIS_AND_EXTERNAL, on_pmi: None },
    happenings: &[(OVERFLOW, 1), (Happening::Assert(0), 1)],
    long: &[(OVERFLOW, 50), (Happening::Assert(0), 20), (Happening::Hurry, 50)],
    ..STOP_ALONE
};

/// Seed 004's question about unloadable modules.
pub(crate) static REMOVE_WHILE_CALLED: Scenario = Scenario {
    name: "remove-while-called",
    summary: "one CPU removes a handler, while the other takes NMIs in which it is asked",
    hardware: Hardware { externals: &[ExternalKind::level_held(Route::Bsp)], ..TWO_CPUS },
    plan: Plan { attended: PMIS_AND_EXTERNAL, on_pmi: None },
    scripts: &[&[], &[Step::Do(Action::Remove(Bell::External(0)))]],
    happenings: &[(OVERFLOW, 1)],
    long: &[(OVERFLOW, 50), (Happening::Hurry, 50)],
    preemptions: 2,
    ..STOP_ALONE
};
