// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting for an item.

use core::{error::Error, fmt};

use super::item::Work;
use crate::{
    contract::{InDispatch, Platform},
    nmi::Nmi,
};

impl<P: Platform> Nmi<P> {
    /// Waits until `item` is neither queued nor running. Everything that its runs did happens
    /// before this returns. From then on no CPU touches the item, unless a context queues it again.
    /// Not NMI-safe.
    ///
    /// This waits without bound while other contexts go on queueing the item: stop them first. If a
    /// driver's NMI handler queues it, remove the handler before.
    ///
    /// # Errors
    ///
    /// See [`SyncError`]. This refuses whatever would make this CPU wait for itself, also if the
    /// item happens to be idle.
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

/// [`Nmi::sync_work`](crate::Nmi::sync_work) did not wait for an item: this CPU may be the one that
/// has to run it, or the item is another subsystem's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncError {
    /// See [`InDispatch`].
    InDispatch(InDispatch),
    /// The item itself called it.
    InsideItself {
        /// The CPU that runs it.
        cpu: usize,
    },
    /// Interrupts are off on the calling CPU, or it is running another item.
    InterruptsOff {
        /// That CPU.
        cpu: usize,
    },
    /// The item belongs to another subsystem, whose `sync_work` knows where it runs.
    OtherSubsystem,
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InDispatch(error) => write!(f, "{error}: wait in ordinary context"),
            Self::OtherSubsystem => f.write_str("the item belongs to another subsystem"),
            Self::InsideItself { cpu } => {
                write!(f, "the item that CPU {cpu} is running would wait for its own end")
            }
            Self::InterruptsOff { cpu } => {
                write!(
                    f,
                    "CPU {cpu} has interrupts off and may have to run the item: switch them on"
                )
            }
        }
    }
}

impl Error for SyncError {}
