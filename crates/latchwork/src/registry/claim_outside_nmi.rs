// SPDX-License-Identifier: MIT OR Apache-2.0
//! Claims outside an NMI: a driver stops its device and clears the status, while its ring may still
//! be on its way.

use super::{registration::Registration, slot::Slot};
use crate::{
    contract::{Class, GrantKind, HandlerId, InterruptState, Platform},
    cpu::PerCpu,
    grant::{Due, Grant},
    nmi::Core,
    primitive::{Ordering, fence},
    read_word::Nesting,
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
        let _until_here = UnderWay { core, platform, id, slot, interrupts };
        acknowledge()
    }
}

/// A claim that is under way. It ends where this is dropped, also where the acknowledgement
/// unwinds: its ring may come all the same.
struct UnderWay {
    core: &'static Core,
    platform: &'static dyn Platform,
    id: HandlerId,
    slot: Option<&'static Slot>,
    interrupts: InterruptState,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            end(self.core, self.platform, self.id, slot);
        }
        // SAFETY: from the `disable_interrupts` of `claim_outside_nmi`, on the same CPU since
        // interrupts were off.
        unsafe { self.platform.restore_interrupts(self.interrupts) };
    }
}

/// Adds the ring before the acknowledgement: an NMI that comes between the two finds the condition
/// or the ring. The ring has no deadline yet, however long the acknowledgement takes: this CPU says
/// until then, as in a send, that something is under way.
fn begin(core: &Core, platform: &dyn Platform, id: HandlerId, slot: &Slot) {
    let recovery = &core.recovery;
    let limits = recovery.limits.in_ticks(platform.ticks_per_ms());
    let now = Timestamp::from_ticks(platform.now_ticks());
    let Some((cpu, area)) = own_area(core, platform) else {
        return;
    };
    area.own.sending.begin();
    if id.class == Class::Platform {
        let (all, due) = (&recovery.hot.machine_wide, due_by(slot, now, limits));
        slot.published.begin_claim(all, slot.doorbell.rings_of_a_claim(), now, due, limits);
        // A CPU that finds the status clear finds the claim. Partner: the
        // fence in `Nmi::prepare_to_absorb`.
        fence(Ordering::Release);
        return;
    }
    outermost(platform, cpu, area, || {
        let due = Due::After { wait: area.wait_for_what_is_under_way(core.cpus()), taken: None };
        let (kind, rings) = (GrantKind::OutsideNmi, slot.doorbell.rings_of_a_claim());
        area.ledger.add(Grant { kind, rings, due }, now, limits);
    });
}

/// The ring's lateness counts from the end of the acknowledgement on.
fn end(core: &Core, platform: &dyn Platform, id: HandlerId, slot: &Slot) {
    let Some((cpu, area)) = own_area(core, platform) else {
        return;
    };
    let limits = core.recovery.limits.in_ticks(platform.ticks_per_ms());
    let now = || Timestamp::from_ticks(platform.now_ticks());
    let due = due_by(slot, now(), limits);
    if id.class == Class::Platform {
        slot.published.end_claim(due, limits);
    } else if !outermost(platform, cpu, area, || area.ledger.note_claim_outside(due)) {
        let rings = slot.doorbell.rings_of_a_claim();
        area.tray.leave_rings(rings, slot.doorbell.late_rings().us(), now);
    }
    area.own.sending.end();
}

fn own_area<'c>(core: &'c Core, platform: &dyn Platform) -> Option<(usize, &'c PerCpu)> {
    let cpu = platform.current_cpu()?;
    Some((cpu, core.cpus().get(cpu)?))
}

fn due_by(slot: &Slot, now: Timestamp, limits: InTicks<'_>) -> Timestamp {
    now.after(limits.late().max(limits.late_of(slot.doorbell.late_rings().us())))
}

/// Calls `act` as the outermost code of this CPU, with interrupts off. What an NMI on top leaves
/// meanwhile waits for this CPU's next NMI or tick. If the caller itself is on top of code of the
/// library, it calls nothing, and returns false.
fn outermost(platform: &dyn Platform, cpu: usize, area: &PerCpu, act: impl FnOnce()) -> bool {
    let is_outermost = area.own.read.enter() == Nesting::Outermost;
    if is_outermost {
        act();
    }
    area.own.read.leave();
    if is_outermost && !area.tray.is_empty() {
        platform.interrupt_for_work(cpu);
    }
    is_outermost
}
