// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happens under the writer lock.

use crate::{
    core_state::Core,
    error::{HandleError, RegisterError},
    handler::{Class, Doorbell, EdgeModel, HandlerSpec},
    name::Name,
    order::{HANDLERS_PER_CLASS, Order},
    platform::{InterruptState, Platform},
    primitive::{Ordering, fence},
    quiescence::Quiescence,
    registry::{HandlerId, Registry, terms},
    slot::{Book, ErasedHandler, Rank, Slot, State},
};

/// The writer lock, held: interrupts are off on this CPU, and the books of all slots are ours.
pub(super) struct Writer<'a> {
    registry: &'a Registry,
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

    /// Those whose claims grant edges.
    pub(super) fn slots_that_grant(&self) -> impl Iterator<Item = &'a Slot> + use<'a> {
        let registry = self.registry;
        [Class::Local, Class::Platform].into_iter().flat_map(|class| registry.slots_of(class))
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
    ///
    /// In every class: a dead handler also keeps its doorbell's edge model.
    pub(super) fn reclaim_dead_slots(&self, core: &Core) {
        for class in Class::ALL {
            self.reclaim_dead_slots_of(core, class);
        }
    }

    fn reclaim_dead_slots_of(&self, core: &Core, class: Class) {
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

    fn free_slot(&self, class: Class) -> Result<(usize, &'a Slot), RegisterError> {
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

    /// A doorbell has one edge model, whoever is behind it and grants by it.
    fn check_edge_model(
        &self,
        class: Class,
        doorbell: Doorbell,
        edges: EdgeModel,
    ) -> Result<(), RegisterError> {
        if class == Class::Unknown {
            return Ok(());
        }
        for slot in self.slots_that_grant() {
            self.with_book(slot, |book| {
                if book.is_taken() && book.doorbell == doorbell && book.edges != edges {
                    return Err(RegisterError::EdgeModelConflict {
                        doorbell,
                        with: book.name,
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
        // SAFETY: the state is from the `disable_interrupts` in `lock`. The writer has not left its
        // CPU since, because interrupts were off, and it is created and dropped in one scope.
        unsafe { self.platform.restore_interrupts(self.interrupts) };
    }
}

/// Registers `handler`. It waits for no NMI.
///
/// # Safety
///
/// `handler` stays valid until a removal of the returned registration has reached quiescence.
pub(crate) unsafe fn register(
    core: &Core,
    platform: &dyn Platform,
    spec: &HandlerSpec<'_>,
    handler: ErasedHandler,
) -> Result<HandlerId, RegisterError> {
    if !core.is_initialised() {
        return Err(RegisterError::NotInitialised);
    }
    let bad_name = RegisterError::BadName { len_bytes: spec.name.len() };
    let name = Name::copy_of(spec.name).ok_or(bad_name)?;
    core.refuse_in_dispatch(platform).map_err(RegisterError::InDispatch)?;
    let writer = Writer::lock(core, platform);
    let class = spec.class;
    writer.reclaim_dead_slots(core);
    spec.edges
        .check(class, spec.doorbell, core.shared.limits.cap_us())
        .map_err(RegisterError::Edges)?;
    writer.check_edge_model(class, spec.doorbell, spec.edges)?;
    let (index, slot) = writer.free_slot(class)?;
    let route =
        terms::check_route(core, spec.delivery).map_err(|cpu| RegisterError::NoSuchCpu { cpu })?;
    for cpu in core.cpus() {
        if let Some(counters) = cpu.slot_counters(class, index) {
            counters.clear();
        }
    }
    let registered = writer.registry.registered.load(Ordering::Relaxed);
    writer.registry.registered.store(registered.wrapping_add(1), Ordering::Relaxed);
    let rank = Rank { priority: spec.priority, registered };
    slot.terms.set_doorbell(writer.doorbell_bit(spec.doorbell));
    slot.terms.set_model(spec.edges);
    slot.storm_above.set(spec.claims_per_ms);
    if class == Class::Platform {
        terms::open_route(core, index, route, spec.delivery);
    }
    slot.fill(handler);
    writer.with_book(slot, |book| book.open(spec, name, rank));
    writer.publish(class);
    Ok(HandlerId { subsystem: core.id(), class, slot: index, generation: slot.generation() })
}

/// Hands the right to remove from a handle back to a guard, once.
pub(crate) fn reclaim(
    core: &Core,
    platform: &dyn Platform,
    id: HandlerId,
) -> Result<(), HandleError> {
    core.refuse_in_dispatch(platform).map_err(HandleError::InDispatch)?;
    let _writer = Writer::lock(core, platform);
    let named = core.slot_of(id).filter(|slot| !slot.is_dead());
    let slot = named.ok_or(HandleError::Stale)?;
    if slot.take_over() { Ok(()) } else { Err(HandleError::Guarded) }
}
