// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scenarios in which other kernels' NMI code breaks, where no scenario of ours shows just that.

use super::{ONE_CPU, PMU_AND_EXTERNAL, Scenario, Step, TWO_CPUS, overflow};
use crate::{
    machine::{Bell, ExternalKind, Happening, Hardware, PmuKind, Route, Timing, pmu::bit, port61},
    policy::{Action, Ask, Plan},
};

pub(super) static PMI_COLLAPSE_PORT61: Scenario = Scenario {
    name: "pmi-collapse-port61",
    summary: "the ring of port 0x61's line, for one bit, collapses into a PMI",
    hardware: Hardware { port61: Some(Route::Bsp), ..ONE_CPU },
    plan: Plan { attended: &[Bell::Lvt, Bell::Port61], on_pmi: None },
    happenings: &[(overflow(0), 2), (Happening::AssertPort61(port61::bit::SERR), 1)],
    long: &[
        (overflow(0), 60),
        (Happening::AssertPort61(port61::bit::SERR), 30),
        (Happening::Hurry, 60),
    ],
    ..Scenario::STILL
};

pub(super) static UNKNOWN_AFTER_PMI: Scenario = Scenario {
    name: "unknown-after-pmi",
    summary: "a true unknown repeats long after the only PMI, whose ring may come late",
    hardware: Hardware { pmu: PmuKind::Free { late_us: 300, max_late_edges: 1 }, ..ONE_CPU },
    happenings: &[(overflow(0), 1), (Happening::Press, 1)],
    long: &[(overflow(0), 2), (Happening::Press, 1), (Happening::Hurry, 20)],
    timing: Timing { horizon_us: 13_000, press_period_us: Some(5_200), ..Timing::SHORT },
    ..Scenario::STILL
};

pub(super) static UNKNOWN_AMONG_PMIS: Scenario = Scenario {
    name: "unknown-among-pmis",
    summary: "a true unknown comes to one of two CPUs that take PMIs",
    hardware: TWO_CPUS,
    happenings: &[(overflow(0), 2), (overflow(1), 1), (Happening::Press, 1)],
    long: &[(overflow(0), 60), (overflow(1), 60), (Happening::Press, 1), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 1_700, horizon_us: 1_700, ..Timing::SHORT },
    preemptions: 0,
    ..Scenario::STILL
};

pub(super) static TOPA_TWICE: Scenario = Scenario {
    name: "topa-twice",
    summary: "the trace buffer is full, and full again while that is handled",
    happenings: &[(Happening::Overflow { cpu: 0, bit: bit::TOPA }, 2)],
    long: &[(Happening::Overflow { cpu: 0, bit: bit::TOPA }, 60), (Happening::Hurry, 60)],
    ..Scenario::STILL
};

pub(super) static STOP_AND_PMI: Scenario = Scenario {
    name: "stop-and-pmi",
    summary: "a CPU is stopped while it takes a PMI",
    hardware: TWO_CPUS,
    scripts: &[&[], &[Step::Do(Action::Send { to: 0, ask: Ask::Stop })]],
    happenings: &[(overflow(0), 1)],
    long: &[(overflow(0), 60), (Happening::Hurry, 60)],
    preemptions: 1,
    ..Scenario::STILL
};

pub(super) static REMOVE_WHILE_CALLED: Scenario = Scenario {
    name: "remove-while-called",
    summary: "one CPU removes a handler while another takes an NMI for which it is asked",
    hardware: Hardware { externals: &[ExternalKind::level_held(Route::Bsp)], ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[&[], &[Step::Do(Action::Remove(Bell::External(0)))]],
    happenings: &[(overflow(0), 1)],
    long: &[(overflow(0), 60), (Happening::Hurry, 60)],
    ..Scenario::STILL
};
