// SPDX-License-Identifier: MIT OR Apache-2.0
//! The writer lock, and what writers do to slots under it.

use core::mem::ManuallyDrop;

use super::{
    error::RegisterError,
    order::Order,
    quiescence::Quiescence,
    slot::{Slot, SlotRecord, SlotState},
    table::Registry,
};
use crate::{
    contract::{Class, Doorbell, EdgeModel, HANDLERS_PER_CLASS, InterruptState, Platform},
    cpu::PerCpu,
    nmi::Core,
    primitive::{Ordering, fence},
};

/// The writer lock, held: interrupts are off on this CPU, and the records of all slots are its
/// holder's.
pub(super) struct Writer<'a> {
    pub(super) registry: &'a Registry,
    platform: &'a dyn Platform,
    interrupts: InterruptState,
    /// This CPU, if it has an area.
    here: Option<(usize, &'a PerCpu)>,
}

impl<'a> Writer<'a> {
    /// Waits for the lock. The caller is not in dispatch. No section under the lock waits for
    /// anything.
    pub(super) fn lock(core: &'a Core, platform: &'a dyn Platform) -> Self {
        let interrupts = platform.disable_interrupts();
        let here = platform.current_cpu().and_then(|cpu| Some((cpu, core.cpus().get(cpu)?)));
        // It is not the holder before it has the lock: if `relax` unwinds, it releases nothing.
        let waiting =
            ManuallyDrop::new(Self { registry: &core.registry, platform, interrupts, here });
        while !waiting.try_lock() {
            platform.relax();
        }
        ManuallyDrop::into_inner(waiting)
    }

    /// From before the lock is taken until after it is released no NMI parks this CPU: the writers
    /// on all others would wait.
    fn try_lock(&self) -> bool {
        if let Some((_, area)) = self.here {
            area.own.keep_after_leave();
        }
        let locked = &self.registry.locked;
        let is_ours =
            locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if !is_ours {
            self.release_after_leave();
        }
        is_ours
    }

    /// What came due meanwhile this CPU does in an NMI of its own, at once or after its next tick.
    fn release_after_leave(&self) {
        if let Some((cpu, area)) = self.here {
            let is_due = area.own.release_after_leave();
            if is_due && !area.ring_itself(self.platform, cpu) && area.work.tick_is_stopped() {
                self.platform.interrupt_for_work(cpu);
            }
        }
    }

    /// Reads and writes the records of one slot.
    pub(super) fn with_record<R>(&self, slot: &Slot, edit: impl FnOnce(&mut SlotRecord) -> R) -> R {
        slot.record.with_mut(|record| {
            // SAFETY: the records belong to the holder of the writer lock, which is us, and `edit`
            // cannot reach another `with_record` of the same slot: only this file and `remove` call
            // it, never nested.
            edit(unsafe { &mut *record })
        })
    }

    pub(super) fn slots(&self, class: Class) -> impl Iterator<Item = (usize, &'a Slot)> + use<'a> {
        self.registry.slots.get(class as usize).into_iter().flatten().enumerate()
    }

    /// The slots whose claims grant edges.
    pub(super) fn slots_that_grant(&self) -> impl Iterator<Item = &'a Slot> + use<'a> {
        let registry = self.registry;
        [Class::Local, Class::Platform].into_iter().flat_map(|class| registry.slots_of(class))
    }

    /// Publishes the order of `class`: its Live handlers, by rank. One store.
    pub(super) fn publish(&self, class: Class) {
        let mut ranked = [None; HANDLERS_PER_CLASS];
        for ((index, slot), entry) in self.slots(class).zip(&mut ranked) {
            *entry = self.with_record(slot, |record| match record.state {
                SlotState::Live => Some((record.rank, index)),
                _ => None,
            });
        }
        ranked.sort_unstable();
        let order = Order::of(ranked.iter().flatten().map(|&(_, slot)| slot));
        if let Some(word) = self.registry.orders.get(class as usize) {
            word.store(order.word(), Ordering::Release);
        }
    }

    /// Takes slots that `try_remove` gave up one step further, without waiting: out of the order,
    /// and, once quiescence is reached *after that*, free. Quiescence of the handler alone would
    /// not do: a dispatch may still hold an order that names the slot.
    ///
    /// It does so in every class: a dead handler also keeps its doorbell's edge model.
    pub(super) fn reclaim_dead_slots(&self, core: &Core) {
        for class in Class::ALL {
            self.reclaim_dead_slots_of(core, class);
        }
    }

    fn reclaim_dead_slots_of(&self, core: &Core, class: Class) {
        let mut unpublished = false;
        for (_, slot) in self.slots(class).filter(|(_, slot)| slot.is_dead()) {
            self.with_record(slot, |record| {
                if matches!(record.state, SlotState::Live) {
                    record.state = SlotState::Draining(Quiescence::begin());
                    unpublished = true;
                }
            });
        }
        if unpublished {
            self.publish(class);
            // Partner: the fence in `ReadWord::enter`.
            fence(Ordering::SeqCst);
        }
        for (_, slot) in self.slots(class) {
            self.with_record(slot, |record| {
                if let SlotState::Draining(wait) = &mut record.state {
                    if wait.advance(core.cpus()).is_ok() {
                        slot.free(record);
                    }
                }
            });
        }
    }

    pub(super) fn free_slot(&self, class: Class) -> Result<(usize, &'a Slot), RegisterError> {
        let mut draining: usize = 0;
        for (index, slot) in self.slots(class) {
            match self.with_record(slot, |record| record.state) {
                SlotState::Free => return Ok((index, slot)),
                SlotState::Draining(_) => draining = draining.saturating_add(1),
                SlotState::Live | SlotState::Removing => {}
            }
        }
        Err(RegisterError::ClassFull { class, draining })
    }

    /// Refuses a second edge model for a doorbell, whichever handlers are behind it and grant by
    /// it.
    pub(super) fn check_edge_model(
        &self,
        class: Class,
        doorbell: Doorbell,
        edges: EdgeModel,
    ) -> Result<(), RegisterError> {
        if class == Class::Unknown {
            return Ok(());
        }
        for slot in self.slots_that_grant() {
            self.with_record(slot, |record| {
                if record.is_taken() && record.doorbell == doorbell && record.edges != edges {
                    return Err(RegisterError::EdgeModelConflict {
                        doorbell,
                        with: record.name,
                        draining: slot.is_dead(),
                    });
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.registry.locked.store(false, Ordering::Release);
        self.release_after_leave();
        // SAFETY: the state is from the `disable_interrupts` in `lock`. The writer has not left its
        // CPU since, because interrupts were off, and it is created and dropped in one scope.
        unsafe { self.platform.restore_interrupts(self.interrupts) };
    }
}
