// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPUs, handlers and routes that come and go; clocks that differ and restart.

use super::{ONE_CPU, PMU_AND_EXTERNAL, Scenario, Step, TWO_CPUS, overflow};
use crate::{
    machine::{Bell, ExternalKind, Happening, Hardware, PmuKind, Route, Timing},
    policy::{Action, Ask, Plan},
};

const EXTERNAL: Bell = Bell::External(0);
const BSP_LINE: &[ExternalKind] = &[ExternalKind::level_held(Route::Bsp)];
const LINE_FOR_ALL: &[ExternalKind] = &[ExternalKind::level_held(Route::All)];

pub(super) static OFFLINE: Scenario = Scenario {
    name: "offline",
    summary: "a CPU goes offline with a debt that it made and with work that waits, and comes \
              back",
    hardware: Hardware { externals: LINE_FOR_ALL, ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[
        &[Step::Do(Action::StopTick)],
        &[
            Step::Do(Action::Queue { item: 0, on: None, lazy: true }),
            Step::Do(Action::GoOffline),
            Step::Wait(500),
            Step::Do(Action::ComeOnline),
        ],
    ],
    happenings: &[(overflow(0), 1), (overflow(1), 1), (Happening::Assert(0), 1)],
    long: &[(overflow(0), 60), (overflow(1), 60), (Happening::Assert(0), 40)],
    timing: Timing { quiet_us: 400, horizon_us: 3_000, ..Timing::SHORT },
    preemptions: 0,
    ..Scenario::STILL
};

pub(super) static CLOCK_RESET: Scenario = Scenario {
    name: "clock-reset",
    summary: "the machine is suspended with debts and grants, and its clock begins anew",
    hardware: Hardware {
        externals: BSP_LINE,
        pmu: PmuKind::Free { late_us: 300, max_late_edges: 1 },
        ..ONE_CPU
    },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[&[
        Step::Wait(500),
        Step::Do(Action::GoOffline),
        Step::Wait(500),
        Step::Do(Action::ResetClock(5_000)),
        Step::Do(Action::ComeOnline),
    ]],
    happenings: &[(overflow(0), 2), (Happening::Assert(0), 1), (Happening::Step, 1)],
    long: &[(overflow(0), 2), (Happening::Assert(0), 40), (Happening::Hurry, 60)],
    ..Scenario::STILL
};

pub(super) static SKEW: Scenario = Scenario {
    name: "skew",
    summary: "one CPU's clock is ahead of the other's by as much as is allowed",
    hardware: Hardware { externals: LINE_FOR_ALL, skew_us: &[0, 90], delivery_us: 50, ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    happenings: &[(overflow(1), 1), (Happening::Assert(0), 1), (Happening::Step, 1)],
    long: &[(overflow(0), 60), (overflow(1), 60), (Happening::Assert(0), 40)],
    timing: Timing { quiet_us: 400, horizon_us: 2_700, step_us: 60, ..Timing::SHORT },
    preemptions: 1,
    ..Scenario::STILL
};

pub(super) static LATE_REGISTRATION: Scenario = Scenario {
    name: "late-registration",
    summary: "a handler is registered when its line is asserted already",
    hardware: Hardware { externals: BSP_LINE, ..TWO_CPUS },
    scripts: &[&[], &[Step::Do(Action::Register(EXTERNAL))]],
    happenings: &[(overflow(0), 1), (Happening::Assert(0), 1)],
    long: &[(overflow(0), 60), (Happening::Assert(0), 40), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 400, horizon_us: 2_700, ..Timing::SHORT },
    ..Scenario::STILL
};

pub(super) static UNMASKED: Scenario = Scenario {
    name: "unmasked",
    summary: "a line rises while its route is masked, and gives no edge when that opens",
    hardware: Hardware { externals: BSP_LINE, ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[
        &[],
        &[Step::Do(Action::Mask(EXTERNAL)), Step::Wait(200), Step::Do(Action::Unmask(EXTERNAL))],
    ],
    happenings: &[(overflow(0), 1), (Happening::Assert(0), 1), (Happening::Step, 1)],
    long: &[(overflow(0), 60), (Happening::Assert(0), 40), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 400, horizon_us: 2_700, step_us: 100, ..Timing::SHORT },
    ..Scenario::STILL
};

/// CPU 1 removes the handler in the very tick in which CPU 0 pays the debt.
pub(super) static REMOVAL_IN_POLL: Scenario = Scenario {
    name: "removal-in-poll",
    summary: "a handler is removed while a tick polls outside an NMI, and while an NMI does",
    hardware: Hardware { externals: BSP_LINE, ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[&[], &[Step::Wait(1_333), Step::Do(Action::Remove(EXTERNAL))]],
    happenings: &[(overflow(0), 1), (Happening::Assert(0), 1)],
    long: &[(overflow(0), 60), (Happening::Assert(0), 40), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 1_400, horizon_us: 3_500, ..Timing::SHORT },
    preemptions: 1,
    ..Scenario::STILL
};

/// The same without PMIs, small enough to be searched completely: a CPU that opens a route owes a
/// poll.
pub(super) static REMOVAL_BESIDE_TICK: Scenario = Scenario {
    name: "removal-beside-tick",
    summary: "a handler is removed while another CPU's tick pays for an opened route",
    hardware: Hardware { externals: BSP_LINE, ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[
        &[Step::Do(Action::Unmask(EXTERNAL))],
        &[Step::Wait(1_333), Step::Do(Action::Remove(EXTERNAL))],
    ],
    happenings: &[(Happening::Assert(0), 1)],
    long: &[(overflow(0), 60), (Happening::Assert(0), 40), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 1_400, horizon_us: 3_500, ..Timing::SHORT },
    ..Scenario::STILL
};

pub(super) static REMOVAL_FROM_NMI: Scenario = Scenario {
    name: "removal-from-nmi",
    summary: "a PMI's handler removes another handler, on top of what may be that one's poll",
    hardware: Hardware { externals: LINE_FOR_ALL, ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: Some(Action::TryRemove(EXTERNAL)) },
    scripts: &[
        &[],
        &[
            Step::Do(Action::Send { to: 0, ask: Ask::Call }),
            Step::Do(Action::AwaitRemoval(EXTERNAL)),
        ],
    ],
    happenings: &[(overflow(0), 1), (Happening::Assert(0), 1)],
    long: &[(overflow(0), 60), (Happening::Assert(0), 40), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 400, horizon_us: 2_500, ..Timing::SHORT },
    preemptions: 0,
    ..Scenario::STILL
};
