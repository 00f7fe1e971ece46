// SPDX-License-Identifier: MIT OR Apache-2.0
//! CPUs that were never started, or are not yet.

use super::{Scenario, Step, TWO_CPUS, overflow};
use crate::{
    machine::{Happening, Hardware, Timing},
    policy::{Action, Ask},
};

const ONE_IS_ABSENT: Hardware = Hardware { absent: &[1], ..TWO_CPUS };
const QUEUE_ON_1: Action = Action::Queue { item: 0, on: Some(1), lazy: false };

pub(super) static SENT_TO_ABSENT: Scenario = Scenario {
    name: "sent-to-absent",
    summary: "a CPU is sent a request and is started then, or never",
    hardware: ONE_IS_ABSENT,
    scripts: &[&[Step::Do(Action::Send { to: 1, ask: Ask::Call })]],
    happenings: &[(overflow(0), 1), (Happening::Start(1), 1)],
    long: &[(overflow(0), 60), (Happening::Start(1), 1)],
    timing: Timing { horizon_us: 9_000, ..Timing::SHORT },
    is_strict: true,
    ..Scenario::STILL
};

pub(super) static QUEUED_ON_ABSENT: Scenario = Scenario {
    name: "queued-on-absent",
    summary: "an item is queued on a CPU that is started then, or never",
    hardware: ONE_IS_ABSENT,
    scripts: &[&[Step::Do(QUEUE_ON_1)]],
    happenings: &[(overflow(0), 1), (Happening::Start(1), 1)],
    long: &[(overflow(0), 60), (Happening::Start(1), 1)],
    timing: Timing { horizon_us: 9_000, ..Timing::SHORT },
    is_strict: true,
    ..Scenario::STILL
};
