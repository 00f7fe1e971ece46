// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guard of a registered handler.

use core::mem::ManuallyDrop;

use crate::{
    core_state::Core,
    error::{RemoveError, RemoveFailure},
    platform::Platform,
    registry::{self, HandlerId},
    ticket::Ticket,
};

/// A registered `'static` handler. Dropping it removes the handler.
///
/// Leaking it is sound and leaves the handler registered for ever, which its `'static` lifetime
/// allows.
///
/// | | waits | where |
/// |---|---|---|
/// | [`remove`](Self::remove) | without bound | not in dispatch |
/// | [`remove_within_ms`](Self::remove_within_ms) | up to a limit | not in dispatch |
/// | [`try_remove`](Self::try_remove) | never; a [`Ticket`] tells when it is over | anywhere, NMIs included |
/// | `drop` | without bound; in dispatch like `try_remove`, without ticket | anywhere |
///
/// What waits must not hold anything that a handler, or a CPU in a handler, waits for.
#[derive(Debug)]
#[must_use = "dropping it removes the handler"]
pub struct Registration {
    core: &'static Core,
    platform: &'static dyn Platform,
    id: HandlerId,
}

impl Registration {
    pub(crate) const fn new(
        core: &'static Core,
        platform: &'static dyn Platform,
        id: HandlerId,
    ) -> Self {
        Self { core, platform, id }
    }

    pub(crate) const fn parts(&self) -> (&'static Core, &'static dyn Platform, HandlerId) {
        (self.core, self.platform, self.id)
    }

    /// The registration's name in statistics.
    #[must_use]
    pub const fn id(&self) -> HandlerId {
        self.id
    }

    /// Removes the handler. When it returns `Ok`, no CPU runs it or ever will: its memory and code
    /// may go. Everything the handler did happens before that return.
    ///
    /// # Errors
    ///
    /// [`RemoveFailure::InDispatch`] in an NMI or inside dispatch, with the registration.
    pub fn remove(self) -> Result<(), RemoveError> {
        self.remove_up_to(None)
    }

    /// Like [`remove`](Self::remove), waiting `limit_ms` milliseconds at most.
    ///
    /// # Errors
    ///
    /// [`RemoveFailure::StillRunning`] names the CPU that did not leave dispatch in time. The
    /// registration comes back whole. While the attempt lasted the handler was not asked, so look at
    /// its condition if an edge of its doorbell may have come meanwhile.
    pub fn remove_within_ms(self, limit_ms: u64) -> Result<(), RemoveError> {
        self.remove_up_to(Some(limit_ms))
    }

    fn remove_up_to(self, limit_ms: Option<u64>) -> Result<(), RemoveError> {
        let registration = ManuallyDrop::new(self);
        registry::remove(registration.core, registration.platform, registration.id, limit_ms)
            .map_err(|failure| RemoveError {
                registration: ManuallyDrop::into_inner(registration),
                failure,
            })
    }

    /// Makes the handler unreachable at once, from any context. It may still run on CPUs that found
    /// it before: the ticket tells when that is over. **NMI-safe.**
    pub fn try_remove(self) -> Ticket {
        let registration = ManuallyDrop::new(self);
        Ticket::new(registration.core, registry::try_remove(registration.core, registration.id))
    }

    /// Gives up the guard and keeps the handler registered. The handle can be turned into a guard
    /// again by [`Nmi::reclaim`](crate::Nmi::reclaim). Does not wait. **NMI-safe.**
    pub fn into_handle(self) -> HandlerId {
        let registration = ManuallyDrop::new(self);
        registry::give_up(registration.core, registration.id);
        registration.id
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        match registry::remove(self.core, self.platform, self.id, None) {
            Ok(()) | Err(RemoveFailure::StillRunning { .. }) => {}
            Err(RemoveFailure::InDispatch(_)) => {
                registry::try_remove(self.core, self.id);
            }
        }
    }
}
