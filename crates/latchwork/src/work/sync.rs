// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting for an item.

use super::Work;
use crate::{
    error::{InDispatch, SyncError},
    nmi::Nmi,
    platform::Platform,
};

impl<P: Platform> Nmi<P> {
    /// Waits until `item` is neither queued nor running. Everything that its runs did happens before, and
    /// no CPU touches the item any more, unless somebody queues it. Not NMI-safe.
    ///
    /// It waits without bound while others go on queueing the item: have them stop first. Where a driver's
    /// NMI handler queues it, the handler is removed before.
    ///
    /// # Errors
    ///
    /// See [`SyncError`]: whatever would wait for this very CPU is refused, also if the item happens to be
    /// idle.
    pub fn sync_work(&'static self, item: &Work) -> Result<(), SyncError> {
        if item.owner.is_other_than(self.core.id()) {
            return Err(SyncError::OtherSubsystem);
        }
        let interrupts_are_on = self.platform.interrupts_are_on();
        let waits_for_itself = self.on_this_cpu(|cpu, area| {
            if area.is_in_dispatch() {
                Err(SyncError::InDispatch(InDispatch { cpu }))
            } else if area.work.is_running(item) {
                Err(SyncError::InsideItself { cpu })
            } else if !interrupts_are_on {
                Err(SyncError::InterruptsOff { cpu })
            } else {
                Ok(())
            }
        });
        waits_for_itself.unwrap_or(Ok(()))?;
        while !item.is_idle() {
            self.platform.relax();
        }
        Ok(())
    }
}
