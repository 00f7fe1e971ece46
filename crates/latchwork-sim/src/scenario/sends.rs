// SPDX-License-Identifier: MIT OR Apache-2.0
//! Software sends: a sender posts its request before it rings, and every sender rings.

use super::{ONE_CPU, PMU_AND_EXTERNAL, Scenario, Step, TWO_CPUS, overflow};
use crate::{
    machine::{Apic, Bell, ExternalKind, Happening, Hardware, Route, Timing},
    policy::{Action, Ask, Plan},
};

const CALL_0: Step = Step::Do(Action::Send { to: 0, ask: Ask::Call });
const BACKTRACE_0: Step = Step::Do(Action::Send { to: 0, ask: Ask::Backtrace });
const PMU_ONLY: Plan = Plan { attended: &[Bell::Lvt], on_pmi: None };

pub(super) static TWO_SENDERS_AND_PMI: Scenario = Scenario {
    name: "two-senders-and-pmi",
    summary: "two CPUs ask a third for the same, while a PMI comes there",
    hardware: Hardware { cpus: 3, ..ONE_CPU },
    plan: PMU_ONLY,
    scripts: &[&[], &[CALL_0], &[CALL_0]],
    happenings: &[(overflow(0), 1)],
    long: &[(overflow(0), 60), (Happening::Hurry, 30)],
    timing: Timing { quiet_us: 300, horizon_us: 900, ..Timing::SHORT },
    preemptions: 1,
    ..Scenario::STILL
};

pub(super) static THREE_DOORBELLS: Scenario = Scenario {
    name: "three-doorbells",
    summary: "a send, a PMI and a message reach one CPU, in one edge or in three",
    hardware: Hardware { externals: &[ExternalKind::per_event(Route::Bsp, 1)], ..TWO_CPUS },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    scripts: &[&[], &[CALL_0, BACKTRACE_0]],
    happenings: &[(overflow(0), 1), (Happening::Assert(0), 1)],
    long: &[(overflow(0), 60), (Happening::Assert(0), 40), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 300, ..Timing::SHORT },
    preemptions: 1,
    ..Scenario::STILL
};

pub(super) static TAKEN_BEFORE_RING: Scenario = Scenario {
    name: "taken-before-ring",
    summary: "a PMI's NMI takes a request, and only later its sender, who was held up, rings",
    hardware: TWO_CPUS,
    plan: PMU_ONLY,
    scripts: &[&[], &[CALL_0]],
    happenings: &[(overflow(0), 2), (Happening::Stall(1), 1), (Happening::Step, 1)],
    long: &[(overflow(0), 60), (Happening::Stall(1), 10), (Happening::Hurry, 30)],
    timing: Timing { stall_us: 1_500, ..Timing::SHORT },
    preemptions: 0,
    ..Scenario::STILL
};

/// Everything begins in the first moment; a stall lets the other CPU run without a preemption.
pub(super) static SENDER_STUCK: Scenario = Scenario {
    name: "sender-stuck",
    summary: "the sender is held up for longer than its send may hold grants, and a true unknown \
              repeats",
    hardware: TWO_CPUS,
    plan: PMU_ONLY,
    scripts: &[&[], &[CALL_0]],
    happenings: &[(overflow(0), 1), (Happening::Stall(1), 1), (Happening::Press, 1)],
    long: &[(overflow(0), 60), (Happening::Stall(1), 10), (Happening::Press, 1)],
    timing: Timing {
        hold_us: 1_000,
        stall_us: 2_800,
        quiet_us: 10,
        horizon_us: 3_000,
        press_period_us: Some(2_500),
        ..Timing::SHORT
    },
    preemptions: 0,
    ..Scenario::STILL
};

pub(super) static SENDER_PARKED: Scenario = Scenario {
    name: "sender-parked",
    summary: "the sender is parked between its request and its ring",
    hardware: Hardware { cpus: 3, ..ONE_CPU },
    plan: PMU_ONLY,
    scripts: &[&[], &[CALL_0], &[Step::Do(Action::Send { to: 1, ask: Ask::Stop })]],
    happenings: &[(overflow(0), 1)],
    long: &[(overflow(0), 60), (overflow(1), 30), (Happening::Hurry, 30)],
    timing: Timing { park_us: 1_000, quiet_us: 300, horizon_us: 2_000, ..Timing::SHORT },
    preemptions: 1,
    ..Scenario::STILL
};

/// A grant explains the edge of the first send, which takes the request of the second.
pub(super) static SEND_AFTER_SEND: Scenario = Scenario {
    name: "send-after-send",
    summary: "a granted edge takes the next request, whose own ring comes after the grant's first \
              deadline",
    hardware: Hardware { delivery_us: 200, ..ONE_CPU },
    plan: PMU_ONLY,
    scripts: &[&[Step::Wait(200), CALL_0, Step::Wait(150), CALL_0]],
    happenings: &[(overflow(0), 1)],
    long: &[(overflow(0), 60), (Happening::Hurry, 30)],
    ..Scenario::STILL
};

pub(super) static SEND_IN_SEND: Scenario = Scenario {
    name: "send-in-send",
    summary: "a PMI's handler sends, on top of a send between the two halves of its ICR",
    hardware: Hardware { apic: Apic::X, ..TWO_CPUS },
    plan: Plan {
        attended: &[Bell::Lvt],
        on_pmi: Some(Action::Send { to: 0, ask: Ask::Backtrace }),
    },
    scripts: &[&[Step::Do(Action::Send { to: 1, ask: Ask::Call })]],
    happenings: &[(overflow(0), 1)],
    long: &[(overflow(0), 60), (overflow(1), 60), (Happening::Hurry, 30)],
    timing: Timing { quiet_us: 300, horizon_us: 2_000, ..Timing::SHORT },
    preemptions: 1,
    ..Scenario::STILL
};
