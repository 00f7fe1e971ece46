// SPDX-License-Identifier: MIT OR Apache-2.0
//! Claims outside an NMI: a driver stops its device and clears the status, while its ring may still
//! be on its way.

use super::{read_word::Nesting, registration::Registration, slot::Slot};
use crate::{
    contract::{Class, GrantKind, HandlerId, Platform},
    dispatch::Tray,
    grant::{Due, Grant, Ledger},
    nmi::Core,
    primitive::{Ordering, fence},
    time::{InTicks, Timestamp},
};

impl Registration {
    /// Claims this handler's condition outside an NMI. It first grants the edge that the
    /// condition's ring may still make, and *then* has `acknowledge` clear the status. Not
    /// NMI-safe.
    ///
    /// For a Local handler the condition is that of this CPU, and interrupts are off meanwhile, so
    /// that the thread stays here. Look at the status first, where `acknowledge` would clear it: if
    /// there is nothing to claim, do not call this, since a grant may hide a true unknown for as
    /// long as it lives.
    pub fn claim_outside_nmi<R>(&self, acknowledge: impl FnOnce() -> R) -> R {
        let (core, platform, id) = self.core_platform_and_id();
        let interrupts = platform.disable_interrupts();
        let slot = core.slot_of(id);
        if let Some(slot) = slot {
            begin(core, platform, id, slot);
        }
        let acknowledged = acknowledge();
        if let Some(slot) = slot {
            end(core, platform, id, slot);
        }
        // SAFETY: from the `disable_interrupts` above, on the same CPU since interrupts were off.
        unsafe { platform.restore_interrupts(interrupts) };
        acknowledged
    }
}

/// Adds the ring before the acknowledgement: an NMI that comes between the two finds the condition
/// or the ring. The ring has no deadline yet, however long the acknowledgement takes.
fn begin(core: &Core, platform: &dyn Platform, id: HandlerId, slot: &Slot) {
    let recovery = &core.recovery;
    let limits = recovery.limits.in_ticks(platform.ticks_per_ms());
    let now = Timestamp::from_ticks(platform.now_ticks());
    if id.class == Class::Platform {
        slot.published.begin_claim(&recovery.hot.machine_wide, due_by(slot, now, limits), limits);
        // A CPU that finds the status clear finds the claim. Partner: the fence in `Nmi::absorb`.
        fence(Ordering::Release);
        return;
    }
    let (kind, rings) = (GrantKind::OutsideNmi, slot.doorbell.rings_of_a_claim());
    let grant = Grant { kind, rings, due: Due::AfterOwnClaim };
    with_own_ledger(core, platform, |ledger| ledger.add(grant, now, limits), |_| {});
}

/// The ring's lateness counts from the end of the acknowledgement on.
fn end(core: &Core, platform: &dyn Platform, id: HandlerId, slot: &Slot) {
    let limits = core.recovery.limits.in_ticks(platform.ticks_per_ms());
    let now = Timestamp::from_ticks(platform.now_ticks());
    let due = due_by(slot, now, limits);
    if id.class == Class::Platform {
        slot.published.end_claim(due, limits);
    } else {
        let rings = slot.doorbell.rings_of_a_claim();
        with_own_ledger(
            core,
            platform,
            |ledger| ledger.end_own_claim(due, now, limits),
            |tray| tray.leave_rings(rings),
        );
    }
}

fn due_by(slot: &Slot, now: Timestamp, limits: InTicks<'_>) -> Timestamp {
    now.after(limits.late().max(limits.late_of(slot.doorbell.late_rings().us())))
}

/// Has `act` change this CPU's ledger, as the outermost code, with interrupts off. What an NMI on
/// top leaves meanwhile waits for this CPU's next NMI or tick. If the caller itself is on top of
/// code of the library, `leave` leaves the change to that.
fn with_own_ledger(
    core: &Core,
    platform: &dyn Platform,
    act: impl FnOnce(&Ledger),
    leave: impl FnOnce(&Tray),
) {
    let this_cpu = platform.current_cpu();
    let Some((cpu, area)) = this_cpu.and_then(|cpu| Some((cpu, core.cpus().get(cpu)?))) else {
        return;
    };
    let nesting = area.own.read.enter();
    match nesting {
        Nesting::Outermost => act(&area.ledger),
        Nesting::OnTop => leave(&area.tray),
    }
    area.own.read.leave();
    if nesting == Nesting::Outermost && !area.tray.is_empty() {
        platform.interrupt_for_work(cpu);
    }
}
