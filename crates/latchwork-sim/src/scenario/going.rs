// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPUs that go offline in the midst of what they, or others, do.

use super::{ONE_CPU, PMU_AND_EXTERNAL, Scenario, Step, TWO_CPUS, overflow};
use crate::{
    machine::{Bell, ExternalKind, Happening, Hardware, Route, Timing},
    policy::{Action, Ask, Plan},
};

const EXTERNAL: Bell = Bell::External(0);
const STOP_0: Step = Step::Do(Action::Send { to: 0, ask: Ask::Stop });
const TO_BOOT_CPU: Step = Step::Do(Action::SetRoute(EXTERNAL, Route::Bsp));
const GO_OFFLINE: Step = Step::Do(Action::GoOffline);
const COME_ONLINE: Step = Step::Do(Action::ComeOnline);
const LAZY: Action = Action::Queue { item: 0, on: None, lazy: true };

/// What is owed for the handlers' registration is paid before.
pub(super) static GOES_BESIDE_POLL: Scenario = Scenario {
    name: "goes-beside-poll",
    summary: "a CPU moves a line to another one, whose tick is stopped and which may be polling, \
              and goes offline with the debt that it made for that",
    hardware: Hardware { externals: &[ExternalKind::level_held(Route::All)], ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[
        &[Step::Wait(1_400), Step::Do(Action::StopTick)],
        &[Step::Wait(1_400), TO_BOOT_CPU, GO_OFFLINE],
    ],
    happenings: &[(overflow(1), 1), (Happening::Assert(0), 1), (Happening::Press, 1)],
    long: &[(overflow(1), 60), (Happening::Assert(0), 40), (Happening::Press, 3)],
    timing: Timing { quiet_us: 1_700, horizon_us: 5_700, ..Timing::SHORT },
    preemptions: 1,
    is_strict: true,
    ..Scenario::STILL
};

pub(super) static GOES_FOR_GOOD: Scenario = Scenario {
    name: "goes-for-good",
    summary: "a CPU goes offline with a debt and with work, while no tick runs, and the kernel \
              forgets a call that it need not make",
    hardware: Hardware { externals: &[ExternalKind::level_held(Route::All)], ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[&[Step::Do(Action::StopTick)], &[Step::Do(LAZY), GO_OFFLINE]],
    happenings: &[(overflow(1), 1), (Happening::Assert(0), 1), (Happening::Forget(1), 1)],
    long: &[(overflow(1), 60), (Happening::Assert(0), 40), (Happening::Forget(1), 1)],
    timing: Timing { quiet_us: 400, horizon_us: 4_500, ..Timing::SHORT },
    preemptions: 0,
    is_strict: true,
    ..Scenario::STILL
};

pub(super) static STOP_BEFORE_GOING: Scenario = Scenario {
    name: "stop-before-going",
    summary: "a CPU is asked to park as it goes offline, perhaps while it polls, and comes back",
    hardware: Hardware { externals: &[ExternalKind::level_held(Route::Bsp)], ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[
        &[
            Step::Do(Action::Unmask(EXTERNAL)),
            Step::Wait(1_333),
            GO_OFFLINE,
            Step::Wait(500),
            COME_ONLINE,
        ],
        &[Step::Wait(1_333), STOP_0],
    ],
    happenings: &[(overflow(0), 1)],
    long: &[(overflow(0), 60), (Happening::Assert(0), 40)],
    timing: Timing { quiet_us: 2_500, horizon_us: 4_500, ..Timing::SHORT },
    preemptions: 1,
    is_strict: true,
    ..Scenario::STILL
};

/// Whether it runs its work then, and so polls, makes no difference to what it was asked before.
pub(super) static STOP_OF_FORMER_LIFE: Scenario = Scenario {
    name: "stop-of-former-life",
    summary: "a CPU is asked to park as it goes offline without running its work, and comes back",
    scripts: &[
        &[
            Step::Do(Action::Unmask(EXTERNAL)),
            Step::Wait(1_333),
            Step::Do(Action::Forget),
            GO_OFFLINE,
            Step::Wait(500),
            COME_ONLINE,
        ],
        &[Step::Wait(1_333), STOP_0],
    ],
    ..STOP_BEFORE_GOING
};

pub(super) static DEFERRED_AND_GONE: Scenario = Scenario {
    name: "deferred-and-gone",
    summary: "a CPU goes offline with an edge that it has deferred, and comes back",
    hardware: Hardware {
        externals: &[ExternalKind::level_held(Route::All)],
        button: Route::All,
        ..TWO_CPUS
    },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[&[], &[Step::Wait(120), GO_OFFLINE, Step::Wait(500), COME_ONLINE]],
    happenings: &[(Happening::Press, 1)],
    long: &[(overflow(0), 60), (Happening::Press, 3), (Happening::Assert(0), 40)],
    timing: Timing { quiet_us: 300, horizon_us: 4_500, ..Timing::SHORT },
    preemptions: 1,
    is_strict: true,
    ..Scenario::STILL
};

pub(super) static STORM_AND_GONE: Scenario = Scenario {
    name: "storm-and-gone",
    summary: "a CPU goes offline amid a storm of true unknowns, and comes back",
    hardware: ONE_CPU,
    scripts: &[&[Step::Wait(500), GO_OFFLINE, Step::Wait(500), Step::Do(Action::StopTick)]],
    happenings: &[(Happening::Press, 2)],
    long: &[(overflow(0), 60), (Happening::Press, 5)],
    timing: Timing { quiet_us: 900, horizon_us: 250_000, unknowns_per_100_ms: 1, ..Timing::SHORT },
    preemptions: 0,
    is_strict: true,
    ..Scenario::STILL
};
