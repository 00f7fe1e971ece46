// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of a handler's storm.

use super::storm::Storms;
use crate::{
    contract::{HandlerId, Platform, Storm, StormSource},
    cpu::PerCpu,
    nmi::Core,
};

/// Calls the kernel about the end of the storms of a handler that is being removed, on any CPU: no
/// CPU can be inside it any more, and its slot is not free yet.
pub(crate) fn end_storms_of_removed(core: &Core, platform: &dyn Platform, id: HandlerId) {
    for (cpu, area) in core.cpus().iter().enumerate() {
        if area.storms.generation(id.class, id.slot, id.generation) == id.generation {
            end_storm(platform, (cpu, area), id);
        }
    }
}

/// Ends the storm of a handler on a CPU, if there is one, and calls the kernel about it.
pub(crate) fn end_storm(platform: &dyn Platform, (cpu, area): (usize, &PerCpu), id: HandlerId) {
    if area.storms.end(Storms::of(id.class, id.slot)) {
        let source = StormSource::Handler(id);
        platform.storm_ended(&Storm { cpu, source, count: 0, within_ms: 1 });
    }
}
