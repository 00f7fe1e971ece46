// SPDX-License-Identifier: MIT OR Apache-2.0
//! What other people's NMI code breaks at, where no scenario of ours shows just that.

use super::{PMU_AND_EXTERNAL, Scenario, Step, TWO_CPUS, overflow};
use crate::{
    machine::{Bell, ExternalKind, Happening, Hardware, Route, Timing},
    policy::{Action, Ask, Plan},
};

pub(super) static UNKNOWN_AMONG_PMIS: Scenario = Scenario {
    name: "unknown-among-pmis",
    summary: "a true unknown comes among PMIs that are the only claims",
    happenings: &[(overflow(0), 2), (Happening::Press, 1)],
    long: &[(overflow(0), 60), (Happening::Press, 1), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 2_000, horizon_us: 5_000, ..Timing::SHORT },
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
