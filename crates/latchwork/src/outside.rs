// SPDX-License-Identifier: MIT OR Apache-2.0
//! Claims made outside an NMI: a driver stops its device and clears the status, whose ring may be on its
//! way.

use crate::{
    core_state::Core,
    grant::GrantKind,
    handler::Class,
    moment::Moment,
    platform::Platform,
    primitive::{Ordering, fence},
    registration::Registration,
    registry::HandlerId,
    slot::Slot,
};

impl Registration {
    /// Claims this handler's condition outside an NMI: grants the edge that its ring may still make, and
    /// *then* has `acknowledge` clear the status. Not NMI-safe.
    ///
    /// For a Local handler it is this CPU's condition, and interrupts are off meanwhile, so that the
    /// thread stays here. Look at the status in `acknowledge`'s place first: whoever claims nothing
    /// had better not call this, since a grant may hide a true unknown for as long as it lives.
    pub fn claim_outside_nmi<R>(&self, acknowledge: impl FnOnce() -> R) -> R {
        let (core, platform, id) = self.parts();
        let interrupts = platform.disable_interrupts();
        let slot = core.slot_of(id);
        let granted_until = slot.map(|slot| grant_outside_nmi(core, platform, id, slot));
        let acknowledged = acknowledge();
        if let Some((slot, until)) = slot.zip(granted_until) {
            raise_outside_nmi(core, platform, id, slot, until);
        }
        // SAFETY: from the `disable_interrupts` above, on the same CPU since interrupts were off.
        unsafe { platform.restore_interrupts(interrupts) };
        acknowledged
    }
}

/// After the acknowledgement: its ring is late from here on, however long that took.
///
/// A CPU that had adopted the claim meanwhile is told of the later deadline. If the first one has passed by then,
/// its grant may have ended, and the claim is published once more: then an edge more than necessary may be
/// absorbed, rather than the ring called unknown.
fn raise_outside_nmi(
    core: &Core,
    platform: &dyn Platform,
    id: HandlerId,
    slot: &Slot,
    granted_until: Moment,
) {
    let shared = &core.shared;
    let limits = shared.limits.on(platform);
    let now = Moment::from_ticks(platform.now_ticks());
    let late = limits.late().max(limits.late_of(slot.terms.late().us()));
    let deadline = now.after(late);
    if id.class == Class::Platform {
        slot.published.renew(&shared.hot.wide, deadline, limits);
        let told = Moment::from_ticks(platform.now_ticks());
        if granted_until.is_before(told) {
            slot.published.publish(&shared.hot.wide, told.after(late), limits);
        }
    } else if let Some(area) = platform.current_cpu().and_then(|cpu| core.cpus().get(cpu)) {
        area.grants.raise(deadline, now, limits);
    }
}

/// Before the acknowledgement: an NMI that comes between the two finds the condition or the grant. Returns until
/// when that lasts.
fn grant_outside_nmi(core: &Core, platform: &dyn Platform, id: HandlerId, slot: &Slot) -> Moment {
    let shared = &core.shared;
    let limits = shared.limits.on(platform);
    let now = Moment::from_ticks(platform.now_ticks());
    let terms = slot.terms.late();
    let deadline = now.after(limits.late().max(limits.late_of(terms.us())));
    if id.class == Class::Platform {
        slot.published.publish(&shared.hot.wide, deadline, limits);
        // Who finds the status clear finds the claim. Partner: the fence in `Nmi::absorb`.
        fence(Ordering::Release);
        return deadline;
    }
    let area = platform.current_cpu().and_then(|cpu| core.cpus().get(cpu));
    if let Some(area) = area {
        let edges = slot.rings_of_a_claim();
        area.grants.grant(GrantKind::OutsideNmi, edges, deadline, now, limits);
    }
    deadline
}
