// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deferred work.

use super::{Scenario, Step, TWO_CPUS, overflow};
use crate::{
    machine::{Bell, Happening, Timing},
    policy::{Action, Plan},
};

const ITEM_0: Action = Action::Queue { item: 0, on: None, lazy: false };
const LAZY_0: Action = Action::Queue { item: 0, on: None, lazy: true };
const ITEM_0_ON_1: Action = Action::Queue { item: 0, on: Some(1), lazy: false };

pub(super) static QUEUED_IN_NMI: Scenario = Scenario {
    name: "queued-in-nmi",
    summary: "a PMI's handler queues an item that ordinary code queues, too",
    hardware: TWO_CPUS,
    plan: Plan { attended: &[Bell::Lvt], on_pmi: Some(ITEM_0) },
    scripts: &[&[Step::Do(ITEM_0)], &[Step::Do(ITEM_0)]],
    happenings: &[(overflow(0), 2)],
    long: &[(overflow(0), 100), (overflow(1), 100), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 300, horizon_us: 1_500, ..Timing::SHORT },
    ..Scenario::STILL
};

pub(super) static QUEUED_FOR_OTHERS: Scenario = Scenario {
    name: "queued-for-others",
    summary: "a PMI's handler queues an item on another CPU, which goes offline",
    hardware: TWO_CPUS,
    plan: Plan { attended: &[Bell::Lvt], on_pmi: Some(ITEM_0_ON_1) },
    scripts: &[&[], &[Step::Do(Action::GoOffline)]],
    happenings: &[(overflow(0), 1)],
    long: &[(overflow(0), 100), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 300, horizon_us: 1_500, ..Timing::SHORT },
    ..Scenario::STILL
};

pub(super) static QUEUED_AS_TICK_STOPS: Scenario = Scenario {
    name: "queued-as-tick-stops",
    summary: "a PMI's handler queues a lazy item while the tick stops, with store buffers",
    hardware: TWO_CPUS,
    plan: Plan { attended: &[Bell::Lvt], on_pmi: Some(LAZY_0) },
    scripts: &[
        &[Step::Do(Action::StopTick)],
        &[Step::Do(Action::Queue { item: 1, on: Some(0), lazy: true })],
    ],
    happenings: &[(overflow(0), 1)],
    long: &[(overflow(0), 100), (Happening::Hurry, 60)],
    timing: Timing { quiet_us: 300, horizon_us: 1_500, ..Timing::SHORT },
    store_buffer: 2,
    ..Scenario::STILL
};
