// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registering a handler, and turning a handle back into a guard.

use super::{
    doorbell,
    error::{HandleError, RegisterError},
    slot::{ErasedHandler, Rank},
    writer::Writer,
};
use crate::{
    contract::{Class, HandlerId, HandlerSpec, Name, Platform, PlatformDelivery},
    nmi::Core,
    primitive::Ordering,
};

/// Registers `handler`. This waits for no NMI.
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
    doorbell::check_edges(core, class, spec.doorbell, spec.edges).map_err(RegisterError::Edges)?;
    writer.check_edge_model(class, spec.doorbell, spec.edges)?;
    if class != Class::Platform && spec.delivery != PlatformDelivery::All {
        return Err(RegisterError::NotPlatform(class));
    }
    let (index, slot) = writer.free_slot(class)?;
    let route = doorbell::check_route(core, spec.delivery)
        .map_err(|cpu| RegisterError::NoSuchCpu { cpu })?;
    for cpu in core.cpus() {
        if let Some(counters) = cpu.slot_counters(class, index) {
            counters.clear();
        }
    }
    let registered = writer.registry.registered.load(Ordering::Relaxed);
    writer.registry.registered.store(registered.wrapping_add(1), Ordering::Relaxed);
    let rank = Rank { priority: spec.priority, registered };
    slot.doorbell.set_bit(writer.doorbell_bit(spec.doorbell));
    slot.doorbell.set_model(spec.edges);
    slot.storm_above.set(spec.claims_per_ms);
    if class == Class::Platform {
        doorbell::set_routes(core, platform, index, route, spec.delivery);
    }
    slot.fill(handler);
    writer.with_record(slot, |record| record.set_live(spec, name, rank));
    writer.publish(class);
    Ok(HandlerId { subsystem: core.id(), class, slot: index, generation: slot.generation() })
}

/// Hands the right to remove back from a handle to a guard, once.
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
