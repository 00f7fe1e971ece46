// SPDX-License-Identifier: MIT OR Apache-2.0
//! What dispatch must know of doorbells: which handlers share one, what its edges are like, and to
//! which CPUs it rings.

use super::{
    error::{EdgesError, SpecError},
    slot::Route,
    writer::Writer,
};
use crate::{
    contract::{Class, Doorbell, EdgeModel, HandlerId, Platform, PlatformDelivery},
    grant::{RingTarget, most_late_us},
    nmi::Core,
    primitive::Ordering,
    time::{Limits, LimitsError, Timestamp},
};

impl Writer<'_> {
    /// The bit of `doorbell`: the one that handlers behind it have already, or else one that no
    /// doorbell has. There are as many bits as slots. The software doorbell has none, since each
    /// send counts as a ring of it, whichever handler claims what the sender asked for.
    pub(super) fn doorbell_bit(&self, doorbell: Doorbell) -> usize {
        if doorbell == Doorbell::Software {
            return 0;
        }
        let mut taken = 0;
        for slot in Class::ALL.into_iter().flat_map(|class| self.slots(class)).map(|(_, slot)| slot)
        {
            let bit = slot.doorbell.bit();
            let its = self.with_record(slot, |record| record.is_taken().then_some(record.doorbell));
            match its {
                Some(its) if its == doorbell => return bit,
                Some(_) => taken |= bit,
                None => {}
            }
        }
        1_usize.wrapping_shl((!taken).trailing_zeros())
    }
}

/// Refuses an edge model to which grants cannot keep, for a handler of `class` behind `doorbell`.
pub(super) fn check_edges(
    core: &Core,
    class: Class,
    doorbell: Doorbell,
    edges: EdgeModel,
) -> Result<(), EdgesError> {
    let EdgeModel::PerEvent { late_us, max_late_edges } = edges else {
        return Ok(());
    };
    if class == Class::Unknown || doorbell == Doorbell::Software {
        return Err(EdgesError::NeverGranted { class, doorbell });
    }
    if max_late_edges > EdgeModel::MOST_LATE_EDGES {
        return Err(EdgesError::TooManyLateEdges { given: max_late_edges });
    }
    let cap_us = most_late_us(core.recovery.limits.cap_us());
    if late_us > cap_us {
        return Err(EdgesError::LateBeyondCap { late_us, cap_us });
    }
    Ok(())
}

/// Whether every CPU that `delivery` names exists.
///
/// # Errors
///
/// A CPU that does not exist.
pub(super) fn check_route(core: &Core, delivery: PlatformDelivery<'_>) -> Result<Route, usize> {
    if let PlatformDelivery::Cpus(named) = delivery {
        if let Some(cpu) = named.iter().find(|cpu| **cpu >= core.cpus().len()) {
            return Err(*cpu);
        }
    }
    Ok(Route::of(delivery))
}

/// Sets for every CPU whether Platform slot `slot` rings there. The caller holds the writer lock.
pub(super) fn set_routes(
    core: &Core,
    platform: &dyn Platform,
    slot: usize,
    route: Route,
    delivery: PlatformDelivery<'_>,
) {
    let now = Timestamp::from_ticks(platform.now_ticks());
    let until = now.after(core.recovery.limits.in_ticks(platform.ticks_per_ms()).cap());
    for (cpu, area) in core.cpus().iter().enumerate() {
        let routed = match (route, delivery) {
            (Route::Bsp, _) => core.boot_cpu() == cpu,
            (_, PlatformDelivery::Cpus(named)) => named.contains(&cpu),
            _ => true,
        };
        let ring = if routed { RingTarget::ThisCpu } else { RingTarget::OtherCpus };
        area.ledger.routes.set(slot, ring, now, until);
    }
}

pub(crate) fn set_delivery(
    core: &Core,
    platform: &dyn Platform,
    id: HandlerId,
    delivery: PlatformDelivery<'_>,
) -> Result<(), SpecError> {
    core.refuse_in_dispatch(platform).map_err(SpecError::InDispatch)?;
    if id.class != Class::Platform {
        return Err(SpecError::NotPlatform(id.class));
    }
    let writer = Writer::lock(core, platform);
    let slot = core.slot_of(id).ok_or(SpecError::Stale)?;
    let route = check_route(core, delivery).map_err(|cpu| SpecError::NoSuchCpu { cpu })?;
    writer.with_record(slot, |record| record.route = route);
    set_routes(core, platform, id.slot, route, delivery);
    Ok(())
}

pub(crate) fn set_edge_model(
    core: &Core,
    platform: &dyn Platform,
    id: HandlerId,
    edges: EdgeModel,
) -> Result<(), SpecError> {
    core.refuse_in_dispatch(platform).map_err(SpecError::InDispatch)?;
    let writer = Writer::lock(core, platform);
    let named = core.slot_of(id).ok_or(SpecError::Stale)?;
    let doorbell = writer.with_record(named, |record| record.doorbell);
    if id.class == Class::Unknown {
        return Err(SpecError::Edges(EdgesError::NeverGranted { class: id.class, doorbell }));
    }
    check_edges(core, id.class, doorbell, edges).map_err(SpecError::Edges)?;
    for slot in writer.slots_that_grant() {
        writer.with_record(slot, |record| {
            if record.is_taken() && record.doorbell == doorbell {
                record.edges = edges;
                slot.doorbell.set_model(edges);
            }
        });
    }
    Ok(())
}

pub(crate) fn set_boot_cpu(
    core: &Core,
    platform: &dyn Platform,
    cpu: usize,
) -> Result<(), SpecError> {
    core.refuse_in_dispatch(platform).map_err(SpecError::InDispatch)?;
    if cpu >= core.cpus().len() {
        return Err(SpecError::NoSuchCpu { cpu });
    }
    let writer = Writer::lock(core, platform);
    core.boot_cpu.store(cpu, Ordering::Relaxed);
    for (index, slot) in writer.slots(Class::Platform) {
        let is_bsp =
            writer.with_record(slot, |record| record.is_taken() && record.route == Route::Bsp);
        if is_bsp {
            set_routes(core, platform, index, Route::Bsp, PlatformDelivery::Bsp);
        }
    }
    Ok(())
}

/// Sets the limits, unless a handler has named a longer lateness than they would let grants last.
/// The caller holds the writer lock, so that no handler names one meanwhile.
pub(crate) fn set_limits(
    core: &Core,
    platform: &dyn Platform,
    limits: Limits,
) -> Result<(), LimitsError> {
    core.refuse_in_dispatch(platform).map_err(LimitsError::InDispatch)?;
    let writer = Writer::lock(core, platform);
    writer.reclaim_dead_slots(core);
    for slot in writer.slots_that_grant() {
        writer.with_record(slot, |record| match record.edges {
            EdgeModel::PerEvent { late_us, .. } if record.is_taken() && late_us > limits.cap_us => {
                Err(LimitsError::CapBelowHandler { handler: record.name, late_us })
            }
            _ => Ok(()),
        })?;
    }
    core.recovery.limits.set(limits, platform.ticks_per_ms())
}
