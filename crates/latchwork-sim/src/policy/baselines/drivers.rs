// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the baselines' drivers have in common.

use crate::{
    driver::{clock, external, interrupts, pmu, port61, report},
    machine::{Bell, PmuKind, current},
    policy::{self, Action},
};

/// How often a driver goes round as long as its status is set.
const ROUNDS: u32 = 3;

/// A line in the timeline, in this CPU's column.
pub(super) fn tell(text: impl Fn() -> String) {
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
        tell(|| format!("asks {bell}: {claims}"));
        claims
    })
}

/// The entry for performance counters masks itself.
pub(super) fn lvt_masks_itself() -> bool {
    current().hardware.pmu == PmuKind::Masking
}

/// Handles PMIs, and counts the overflows. Where the entry masks itself, the counters are stopped
/// until all is acknowledged, and the entry is unmasked before they go on.
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

/// Clears what port 0x61 shows, until it shows nothing: only then its line rings again.
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

/// What is up to a driver or to the rest of the kernel, so that its NMI code does not hear of it.
/// Says whether it was that.
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

/// Whether it is up to them.
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
