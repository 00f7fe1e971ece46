// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a handler leaves the registry, and how the right to remove it passes from owner to owner.
//! Only the one owner of a registration calls these functions, so two removals of one handler never
//! meet.

use super::{error::RemoveFailure, quiescence::Quiescence, slot::SlotState, writer::Writer};
use crate::{
    contract::{HandlerId, Name, Platform},
    nmi::Core,
    primitive::{Ordering, fence},
    stats::end_storms_of_removed,
};

/// Removes the handler and waits until no CPU can be inside it, without bound or up to `limit_ms`.
///
/// It waits outside the writer lock, with interrupts as the caller had them. If the limit passes,
/// it puts the handler back where it was.
pub(crate) fn remove(
    core: &Core,
    platform: &dyn Platform,
    id: HandlerId,
    limit_ms: Option<u64>,
) -> Result<(), RemoveFailure> {
    core.refuse_in_dispatch(platform).map_err(RemoveFailure::InDispatch)?;
    let Some(handler) = set_state(core, platform, id, SlotState::Removing) else {
        return Ok(());
    };
    // Partner: the fence in `ReadWord::enter`.
    fence(Ordering::SeqCst);
    let mut deadline = limit_ms.map(|ms| Deadline::after(platform, ms));
    let mut wait = Quiescence::begin();
    while let Err(cpu) = wait.advance(core.cpus()) {
        if let Some(waited_ms) = deadline.as_mut().and_then(|it| it.passed(platform)) {
            set_state(core, platform, id, SlotState::Live);
            return Err(RemoveFailure::StillRunning { handler, cpu, waited_ms });
        }
        platform.relax();
    }
    end_storms_of_removed(core, platform, id);
    let writer = Writer::lock(core, platform);
    if let Some(slot) = core.slot_of(id) {
        writer.with_record(slot, |record| slot.free(record));
    }
    writer.reclaim_dead_slots(core);
    Ok(())
}

/// Makes the handler unreachable from any context, also in an NMI and on top of a writer that an
/// NMI interrupted. The returned wait says when quiescence is reached; the next writer frees the
/// slot.
pub(crate) fn try_remove(core: &Core, id: HandlerId) -> Quiescence {
    if let Some(slot) = core.slot_of(id) {
        slot.kill();
    }
    // Partner: the fence in `ReadWord::enter`.
    fence(Ordering::SeqCst);
    Quiescence::begin()
}

/// Hands the right to remove from a guard to the holder of the handle. It is one store, so any
/// context may call it, also on top of a writer that an NMI interrupted.
pub(crate) fn give_up(core: &Core, id: HandlerId) {
    if let Some(slot) = core.slot_of(id) {
        slot.give_up();
    }
}

/// Moves a handler out of, or back into, the published order. Returns its name.
fn set_state(
    core: &Core,
    platform: &dyn Platform,
    id: HandlerId,
    state: SlotState,
) -> Option<Name> {
    let writer = Writer::lock(core, platform);
    let slot = core.slot_of(id)?;
    let name = writer.with_record(slot, |record| {
        record.state = state;
        record.name
    });
    writer.publish(id.class);
    Some(name)
}

struct Deadline {
    started_ticks: u64,
    limit_ms: u64,
}

impl Deadline {
    fn after(platform: &dyn Platform, limit_ms: u64) -> Self {
        Self { started_ticks: platform.now_ticks(), limit_ms }
    }

    /// The limit, once it has passed. A clock that shows less than at the start was reset, or is
    /// that of another CPU, a little behind. Then the remover counts from there: its wait has a
    /// bound on any clock, and is too short by no more than two CPUs' clocks differ.
    fn passed(&mut self, platform: &dyn Platform) -> Option<u64> {
        let now_ticks = platform.now_ticks();
        self.started_ticks = self.started_ticks.min(now_ticks);
        let waited = now_ticks.saturating_sub(self.started_ticks);
        let limit = self.limit_ms.saturating_mul(platform.ticks_per_ms());
        (waited >= limit).then_some(self.limit_ms)
    }
}
