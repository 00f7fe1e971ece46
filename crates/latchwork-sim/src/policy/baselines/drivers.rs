// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the baselines' drivers have in common.

use crate::{
    driver::{clock, external, interrupts, pmu, port61, report},
    machine::{Bell, PmuKind, current},
    policy::{self, Action},
};

/// How often a driver acknowledges while its status is set again.
const ROUNDS: u32 = 3;

/// Adds a line to the timeline, in this CPU's column.
pub(super) fn note(text: impl Fn() -> String) {
    policy::say(text);
}

/// Asks the driver behind that doorbell. Returns how many conditions it has consumed.
pub(super) fn ask(bell: Bell) -> usize {
    report::call(bell, || {
        let claims = match bell {
            Bell::Lvt => pmis(),
            Bell::External(index) => external::service(index).into(),
            _ => line_61(),
        };
        note(|| format!("asks {bell}: {claims}"));
        claims
    })
}

/// Whether the entry for performance counters masks itself.
pub(super) fn lvt_masks_itself() -> bool {
    current().hardware.pmu == PmuKind::Masking
}

/// Handles PMIs, and counts the overflows. Where the entry masks itself, the driver stops the
/// counters until it has acknowledged all overflows, and unmasks the entry before they go on.
pub(super) fn pmis() -> usize {
    let mut status = pmu::read_status();
    if status == 0 {
        return 0;
    }
    let masks = lvt_masks_itself();
    if masks {
        pmu::stop_counters(true);
    }
    let mut overflows = 0;
    for _ in 0..ROUNDS {
        pmu::acknowledge(status);
        overflows += status.count_ones() as usize;
        status = pmu::read_status();
        if status == 0 {
            break;
        }
    }
    if masks {
        pmu::unmask();
        pmu::stop_counters(false);
    }
    overflows
}

/// Clears the statuses of port 0x61 until none is set: only then can its line ring again.
fn line_61() -> usize {
    let mut claims = 0;
    for _ in 0..ROUNDS {
        let serviced = port61::service();
        claims += usize::from(serviced.claimed);
        if !serviced.again {
            break;
        }
    }
    claims
}

/// Does what a driver or the rest of the kernel does without its NMI code. Returns whether the
/// action was of that kind.
pub(super) fn act_without_the_nmi_code(action: Action) -> bool {
    match action {
        Action::ClaimOutside(bell) => {
            ask(bell);
        }
        Action::Mask(Bell::External(index)) => external::set_masked(index, true),
        Action::StopTick => interrupts::stop_tick(),
        Action::StartTick => interrupts::start_tick(),
        Action::ResetClock(reading_ticks) => clock::reset(reading_ticks),
        _ => return false,
    }
    true
}

/// Whether a driver or the rest of the kernel does this without the NMI code.
pub(super) fn can_act_without_the_nmi_code(action: Action) -> bool {
    matches!(
        action,
        Action::ClaimOutside(_)
            | Action::Mask(Bell::External(_))
            | Action::StopTick
            | Action::StartTick
            | Action::ResetClock(_)
    )
}
