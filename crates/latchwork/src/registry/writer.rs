// SPDX-License-Identifier: MIT OR Apache-2.0
//! The writer lock, and what is done to slots under it.

use super::{
    error::RegisterError,
    order::Order,
    quiescence::Quiescence,
    slot::{Book, Slot, State},
    table::Registry,
};
use crate::{
    contract::{Class, Doorbell, EdgeModel, HANDLERS_PER_CLASS, InterruptState, Platform},
    nmi::Core,
    primitive::{Ordering, fence},
};

/// The writer lock, held: interrupts are off on this CPU, and the books of all slots are ours.
pub(super) struct Writer<'a> {
    pub(super) registry: &'a Registry,
    platform: &'a dyn Platform,
    interrupts: InterruptState,
}

impl<'a> Writer<'a> {
    /// Waits for the lock. The caller is not in dispatch. Sections under the lock wait for nobody.
    pub(super) fn lock(core: &'a Core, platform: &'a dyn Platform) -> Self {
        let interrupts = platform.disable_interrupts();
        let registry = &core.registry;
        let locked = &registry.locked;
        while locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            platform.relax();
        }
        Self { registry, platform, interrupts }
    }

    /// Reads and writes the books of one slot.
    pub(super) fn with_book<R>(&self, slot: &Slot, edit: impl FnOnce(&mut Book) -> R) -> R {
        slot.book.with_mut(|book| {
            // SAFETY: the books belong to the holder of the writer lock, which is us, and `edit`
            // cannot reach another `with_book` of the same slot: nobody else calls it but this file
            // and `remove`, never nested.
            edit(unsafe { &mut *book })
        })
    }

    pub(super) fn slots(&self, class: Class) -> impl Iterator<Item = (usize, &'a Slot)> + use<'a> {
        self.registry.slots.get(class as usize).into_iter().flatten().enumerate()
    }

    /// Publishes the order of `class`: its Live handlers, by rank. One store.
    pub(super) fn publish(&self, class: Class) {
        let mut ranked = [None; HANDLERS_PER_CLASS];
        for ((index, slot), entry) in self.slots(class).zip(&mut ranked) {
            *entry = self.with_book(slot, |book| match book.state {
                State::Live => Some((book.rank, index)),
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
    /// and, once quiescence is reached *after that*, free. Quiescence of the handler alone would not
    /// do: a dispatch may still hold an order that names the slot.
    pub(super) fn reclaim_dead_slots(&self, core: &Core, class: Class) {
        let mut unpublished = false;
        for (_, slot) in self.slots(class).filter(|(_, slot)| slot.is_dead()) {
            self.with_book(slot, |book| {
                if matches!(book.state, State::Live) {
                    book.state = State::Draining(Quiescence::begin());
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
            self.with_book(slot, |book| {
                if let State::Draining(wait) = &mut book.state {
                    if wait.advance(core.cpus()).is_ok() {
                        slot.free(book);
                    }
                }
            });
        }
    }

    pub(super) fn free_slot(&self, class: Class) -> Result<(usize, &'a Slot), RegisterError> {
        let mut draining: usize = 0;
        for (index, slot) in self.slots(class) {
            match self.with_book(slot, |book| book.state) {
                State::Free => return Ok((index, slot)),
                State::Draining(_) => draining = draining.saturating_add(1),
                State::Live | State::Removing => {}
            }
        }
        Err(RegisterError::ClassFull { class, draining })
    }

    /// A doorbell has one edge model, whoever is behind it.
    pub(super) fn check_edge_model(
        &self,
        doorbell: Doorbell,
        edges: EdgeModel,
    ) -> Result<(), RegisterError> {
        for slot in self.registry.slots.iter().flatten() {
            self.with_book(slot, |book| {
                if book.is_taken() && book.doorbell == doorbell && book.edges != edges {
                    return Err(RegisterError::EdgeModelConflict { doorbell, with: book.name });
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
        // SAFETY: the state is from the `disable_interrupts` in `lock`. The writer has not left its
        // CPU since, because interrupts were off, and it is created and dropped in one scope.
        unsafe { self.platform.restore_interrupts(self.interrupts) };
    }
}
