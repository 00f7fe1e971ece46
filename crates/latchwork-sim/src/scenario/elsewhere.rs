// SPDX-License-Identifier: MIT OR Apache-2.0
//! Edges that wait for a poll of another CPU, and what it claims.

use super::{PMU_AND_EXTERNAL, Scenario, TWO_CPUS, overflow};
use crate::{
    machine::{ExternalKind, Happening, Hardware, Route, Timing},
    policy::Plan,
};

pub(super) static CLAIMED_ELSEWHERE: Scenario = Scenario {
    name: "claimed-elsewhere",
    summary: "a true unknown comes to one CPU while another claims a line that does not ring the \
              first",
    hardware: Hardware {
        externals: &[ExternalKind::level_held(Route::Bsp)],
        button: Route::Some(&[1]),
        ..TWO_CPUS
    },
    plan: Plan { attended: PMU_AND_EXTERNAL, on_pmi: None },
    happenings: &[(Happening::Press, 1), (Happening::Assert(0), 1)],
    long: &[(overflow(0), 60), (Happening::Press, 3), (Happening::Assert(0), 40)],
    timing: Timing { quiet_us: 300, horizon_us: 4_700, ..Timing::SHORT },
    preemptions: 1,
    is_strict: true,
    ..Scenario::STILL
};
