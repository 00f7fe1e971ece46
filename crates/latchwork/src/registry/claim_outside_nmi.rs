// SPDX-License-Identifier: MIT OR Apache-2.0
//! Claims outside an NMI: a driver stops its device and clears the status, while its ring may still
//! be on its way.

use super::{registration::Registration, slot::Slot};
use crate::{
    contract::{Class, GrantKind, HandlerId, Platform},
    nmi::Core,
    primitive::{Ordering, fence},
    time::Timestamp,
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
        let granted_until = slot.map(|slot| grant_outside_nmi(core, platform, id, slot));
        let acknowledged = acknowledge();
        if let Some((slot, until)) = slot.zip(granted_until) {
            extend_outside_nmi(core, platform, id, slot, until);
        }
        // SAFETY: from the `disable_interrupts` above, on the same CPU since interrupts were off.
        unsafe { platform.restore_interrupts(interrupts) };
        acknowledged
    }
}

/// Extends the grant after the acknowledgement: the ring's lateness counts from here on, however
/// long the acknowledgement took.
///
/// A CPU that has adopted the claim meanwhile learns of the later deadline. If the first deadline
/// has passed by then, that CPU's grant may have ended, so this publishes the claim once more. Some
/// CPU may then absorb an edge more than necessary, which is better than to call the ring unknown.
fn extend_outside_nmi(
    core: &Core,
    platform: &dyn Platform,
    id: HandlerId,
    slot: &Slot,
    granted_until: Timestamp,
) {
    let recovery = &core.recovery;
    let limits = recovery.limits.in_ticks(platform.ticks_per_ms());
    let now = Timestamp::from_ticks(platform.now_ticks());
    let late = limits.late().max(limits.late_of(slot.doorbell.late_rings().us()));
    let deadline = now.after(late);
    if id.class == Class::Platform {
        slot.published.renew(&recovery.hot.machine_wide, deadline, limits);
        let told = Timestamp::from_ticks(platform.now_ticks());
        if granted_until.is_before(told) {
            slot.published.publish(&recovery.hot.machine_wide, told.after(late), limits);
        }
    } else if let Some(area) = platform.current_cpu().and_then(|cpu| core.cpus().get(cpu)) {
        area.grants.extend(deadline, now, limits);
    }
}

/// Grants the edge before the acknowledgement: an NMI that comes between the two finds the
/// condition or the grant. Returns until when the grant lasts.
fn grant_outside_nmi(
    core: &Core,
    platform: &dyn Platform,
    id: HandlerId,
    slot: &Slot,
) -> Timestamp {
    let recovery = &core.recovery;
    let limits = recovery.limits.in_ticks(platform.ticks_per_ms());
    let now = Timestamp::from_ticks(platform.now_ticks());
    let late = slot.doorbell.late_rings();
    let deadline = now.after(limits.late().max(limits.late_of(late.us())));
    if id.class == Class::Platform {
        slot.published.publish(&recovery.hot.machine_wide, deadline, limits);
        // A CPU that finds the status clear finds the claim. Partner: the fence in `Nmi::absorb`.
        fence(Ordering::Release);
        return deadline;
    }
    let area = platform.current_cpu().and_then(|cpu| core.cpus().get(cpu));
    if let Some(area) = area {
        let edges = slot.doorbell.rings_of_a_claim();
        area.grants.grant(GrantKind::OutsideNmi, edges, deadline, now, limits);
    }
    deadline
}
