// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPUs that execute nothing any more, wherever they are.

use super::{PMU_AND_EXTERNAL, Scenario, Step, TWO_CPUS, overflow};
use crate::{
    machine::{ExternalKind, Happening, Hardware, Route, Timing},
    policy::{Action, Ask, Plan},
};

pub(super) static HUNG_IN_POLL: Scenario = Scenario {
    name: "hung-in-poll",
    summary: "a CPU hangs, perhaps in a Platform handler, and a true unknown rings all CPUs again \
              and again",
    hardware: Hardware {
        externals: &[ExternalKind::level_held(Route::All)],
        button: Route::All,
        ..TWO_CPUS
    },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    happenings: &[(Happening::Press, 1), (Happening::Hang(0), 1)],
    long: &[(overflow(1), 3), (Happening::Press, 1), (Happening::Hang(0), 1)],
    timing: Timing {
        quiet_us: 300,
        horizon_us: 30_000,
        press_period_us: Some(10_300),
        ..Timing::SHORT
    },
    preemptions: 0,
    is_strict: true,
    ..Scenario::STILL
};

pub(super) static SENDER_HANGS: Scenario = Scenario {
    name: "sender-hangs",
    summary: "a CPU hangs, perhaps in a send, and is marked offline; a true unknown comes again \
              and again where it sent to",
    hardware: TWO_CPUS,
    scripts: &[
        &[Step::Wait(2_500), Step::Do(Action::MarkOffline(1))],
        &[Step::Do(Action::Send { to: 0, ask: Ask::Call })],
    ],
    happenings: &[(Happening::Press, 1), (Happening::Hang(1), 1)],
    long: &[(overflow(0), 60), (Happening::Press, 1), (Happening::Hang(1), 1)],
    timing: Timing {
        hold_us: 1_000,
        quiet_us: 10,
        horizon_us: 26_000,
        press_period_us: Some(10_300),
        ..Timing::SHORT
    },
    preemptions: 0,
    is_strict: true,
    ..Scenario::STILL
};
