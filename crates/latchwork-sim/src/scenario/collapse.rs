// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine-wide ring collapses into another one.

use super::{ONE_CPU, PMU_AND_EXTERNAL, Scenario, Step, TWO_CPUS, overflow};
use crate::{
    machine::{Bell, ExternalKind, Happening, Hardware, PmuKind, Route, Timing, pmu::bit, port61},
    policy::{Action, Plan},
};

pub(super) static PMI_COLLAPSE_BSP: Scenario = Scenario {
    name: "pmi-collapse-bsp",
    summary: "the ring of a line to the boot CPU collapses into a PMI",
    hardware: Hardware { externals: &[ExternalKind::level_held(Route::Bsp)], ..ONE_CPU },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    happenings: &[(overflow(0), 2), (Happening::Assert(0), 1), (Happening::Hurry, 1)],
    long: &[(overflow(0), 100), (Happening::Assert(0), 40), (Happening::Hurry, 100)],
    ..Scenario::STILL
};

pub(super) static PMI_COLLAPSE_ALL: Scenario = Scenario {
    name: "pmi-collapse-all",
    summary: "the rings of a line to all CPUs collapse into PMIs on each",
    hardware: Hardware { externals: &[ExternalKind::level_held(Route::All)], ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    happenings: &[(overflow(0), 1), (overflow(1), 1), (Happening::Assert(0), 1)],
    long: &[
        (overflow(0), 60),
        (overflow(1), 60),
        (Happening::Assert(0), 40),
        (Happening::Hurry, 100),
    ],
    preemptions: 0,
    ..Scenario::STILL
};

pub(super) static PMI_COLLAPSE_SOME: Scenario = Scenario {
    name: "pmi-collapse-some",
    summary: "the ring of a line to CPU 1 alone collapses into a PMI",
    hardware: Hardware { externals: &[ExternalKind::level_held(Route::Some(&[1]))], ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    happenings: &[(overflow(1), 2), (Happening::Assert(0), 1)],
    long: &[
        (overflow(0), 60),
        (overflow(1), 60),
        (Happening::Assert(0), 40),
        (Happening::Hurry, 100),
    ],
    preemptions: 1,
    ..Scenario::STILL
};

pub(super) static PORT61_BOTH_BITS: Scenario = Scenario {
    name: "port61-both-bits",
    summary: "SERR and IOCHK share one line, and a PMI comes along",
    hardware: Hardware { port61: Some(Route::Bsp), ..ONE_CPU },
    plan: Plan { attended: &[Bell::Lvt, Bell::Port61], on_pmi: None },
    happenings: &[
        (overflow(0), 1),
        (Happening::AssertPort61(port61::bit::SERR), 1),
        (Happening::AssertPort61(port61::bit::IOCHK), 1),
        (Happening::Hurry, 1),
    ],
    long: &[
        (overflow(0), 60),
        (Happening::AssertPort61(port61::bit::SERR), 30),
        (Happening::AssertPort61(port61::bit::IOCHK), 30),
        (Happening::Hurry, 60),
    ],
    ..Scenario::STILL
};

pub(super) static PROBE_COLLAPSE: Scenario = Scenario {
    name: "probe-collapse",
    summary: "the NMI that recovers may collapse with a PMI and with the ring of a message",
    hardware: Hardware { externals: &[ExternalKind::per_event(Route::Bsp, 1)], ..ONE_CPU },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    happenings: &[(overflow(0), 2), (Happening::Assert(0), 2)],
    long: &[(overflow(0), 100), (Happening::Assert(0), 40), (Happening::Hurry, 100)],
    ..Scenario::STILL
};

pub(super) static COLLAPSE_IN_POLL: Scenario = Scenario {
    name: "collapse-in-poll",
    summary: "the ring of a line collapses into a PMI on top of the poll that pays a debt",
    hardware: Hardware { externals: &[ExternalKind::level_held(Route::Bsp)], ..ONE_CPU },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    happenings: &[(overflow(0), 2), (Happening::Assert(0), 1)],
    long: &[(overflow(0), 100), (Happening::Assert(0), 40), (Happening::Hurry, 100)],
    timing: Timing { quiet_us: 1_600, horizon_us: 3_700, ..Timing::SHORT },
    ..Scenario::STILL
};

/// Firmware's status lies in ordinary memory, so a CPU that polls may read it while the CPU's own
/// stores are still in its store buffer. CPU 1 owes the poll that CPU 0's tick makes.
pub(super) static STORE_BUFFER: Scenario = Scenario {
    name: "store-buffer",
    summary: "one CPU polls firmware's error block while another skips the poll, with store \
              buffers",
    hardware: Hardware { externals: &[ExternalKind::error_block(Route::Some(&[1]))], ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[&[], &[Step::Do(Action::Unmask(Bell::External(0)))]],
    happenings: &[(overflow(1), 1), (Happening::Assert(0), 1)],
    long: &[
        (overflow(0), 60),
        (overflow(1), 60),
        (Happening::Assert(0), 40),
        (Happening::Hurry, 100),
    ],
    timing: Timing { quiet_us: 1_400, horizon_us: 3_500, ..Timing::SHORT },
    preemptions: 1,
    store_buffer: 4,
    ..Scenario::STILL
};

pub(super) static TWO_COUNTERS: Scenario = Scenario {
    name: "two-counters",
    summary: "two counters and a trace buffer behind one doorbell, and a true unknown",
    happenings: &[
        (overflow(0), 1),
        (Happening::Overflow { cpu: 0, bit: bit::TOPA }, 2),
        (Happening::Press, 1),
    ],
    long: &[
        (overflow(0), 60),
        (Happening::Overflow { cpu: 0, bit: bit::COUNTER_1 }, 60),
        (Happening::Overflow { cpu: 0, bit: bit::TOPA }, 60),
        (Happening::Press, 1),
        (Happening::Hurry, 60),
    ],
    ..Scenario::STILL
};

pub(super) static TWO_HANDLERS: Scenario = Scenario {
    name: "two-handlers",
    summary: "the counters' handler and the trace buffer's share a doorbell, and a true unknown \
              comes",
    hardware: Hardware { pmu: PmuKind::Free { late_us: 300, max_late_edges: 1 }, ..ONE_CPU },
    plan: Plan { attended: &[Bell::Lvt, Bell::Lvt], on_pmi: None },
    happenings: &[
        (overflow(0), 1),
        (Happening::Overflow { cpu: 0, bit: bit::TOPA }, 1),
        (Happening::Press, 1),
    ],
    long: &[
        (overflow(0), 1),
        (Happening::Overflow { cpu: 0, bit: bit::TOPA }, 1),
        (Happening::Press, 1),
        (Happening::Hurry, 30),
    ],
    ..Scenario::STILL
};

pub(super) static FRED: Scenario = Scenario {
    name: "fred",
    summary: "the CPU reports which sources rang: a PMI, a line, a true unknown",
    hardware: Hardware {
        externals: &[ExternalKind::level_held(Route::Bsp)],
        reports_sources: true,
        ..ONE_CPU
    },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    happenings: &[(overflow(0), 2), (Happening::Assert(0), 1), (Happening::Press, 1)],
    long: &[
        (overflow(0), 100),
        (Happening::Assert(0), 40),
        (Happening::Press, 1),
        (Happening::Hurry, 60),
    ],
    ..Scenario::STILL
};

pub(super) static TWO_EXTERNALS: Scenario = Scenario {
    name: "two-externals",
    summary: "two external devices, a line to all CPUs and messages to one, ring into each other \
              and into a poll",
    hardware: Hardware {
        externals: &[
            ExternalKind::level_held(Route::All),
            ExternalKind::per_event(Route::Some(&[1]), 1),
        ],
        ..TWO_CPUS
    },
    plan: Plan { attended: &[Bell::Lvt, Bell::External(0), Bell::External(1)], on_pmi: None },
    happenings: &[(Happening::Assert(0), 1), (Happening::Assert(1), 1)],
    long: &[
        (overflow(1), 60),
        (Happening::Assert(0), 40),
        (Happening::Assert(1), 40),
        (Happening::Press, 1),
        (Happening::Hurry, 60),
    ],
    timing: Timing { quiet_us: 300, horizon_us: 2_700, ..Timing::SHORT },
    preemptions: 0,
    ..Scenario::STILL
};
