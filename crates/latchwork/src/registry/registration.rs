// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registering a `'static` handler, and the guard of the registration.

use core::mem::ManuallyDrop;
use core::{error::Error, fmt};

use super::{
    error::{HandleError, RegisterError, RemoveFailure},
    register, remove,
    slot::ErasedHandler,
    ticket::Ticket,
};
use crate::{
    contract::{Class, HandlerId, HandlerSpec, NmiHandler, Platform},
    nmi::{Core, Nmi},
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
/// | [`try_remove`](Self::try_remove) | never; a [`Ticket`] tells when it is over | anywhere |
/// | `drop` | without bound; in dispatch like `try_remove`, without ticket | anywhere |
///
/// "Anywhere" includes NMIs.
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

    pub(crate) const fn core_platform_and_id(
        &self,
    ) -> (&'static Core, &'static dyn Platform, HandlerId) {
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
    /// registration comes back whole. While the attempt lasted the handler was not asked, so look
    /// at its condition if an edge of its doorbell may have come meanwhile.
    pub fn remove_within_ms(self, limit_ms: u64) -> Result<(), RemoveError> {
        self.remove_up_to(Some(limit_ms))
    }

    fn remove_up_to(self, limit_ms: Option<u64>) -> Result<(), RemoveError> {
        let registration = ManuallyDrop::new(self);
        remove::remove(registration.core, registration.platform, registration.id, limit_ms).map_err(
            |failure| RemoveError { registration: ManuallyDrop::into_inner(registration), failure },
        )
    }

    /// Makes the handler unreachable at once, from any context. It may still run on CPUs that found
    /// it before: the ticket tells when that is over. **NMI-safe.**
    pub fn try_remove(self) -> Ticket {
        let registration = ManuallyDrop::new(self);
        Ticket::new(registration.core, remove::try_remove(registration.core, registration.id))
    }

    /// Gives up the guard and keeps the handler registered. The handle can be turned into a guard
    /// again by [`Nmi::reclaim`](crate::Nmi::reclaim). Does not wait. **NMI-safe.**
    pub fn into_handle(self) -> HandlerId {
        let registration = ManuallyDrop::new(self);
        remove::give_up(registration.core, registration.id);
        registration.id
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        match remove::remove(self.core, self.platform, self.id, None) {
            Ok(()) | Err(RemoveFailure::StillRunning { .. }) => {}
            Err(RemoveFailure::InDispatch(_)) => {
                remove::try_remove(self.core, self.id);
            }
        }
    }
}

impl<P: Platform> Nmi<P> {
    /// Registers a handler; it may be called before this returns. Not NMI-safe. Waits for no NMI.
    ///
    /// # Errors
    ///
    /// See [`RegisterError`]; nothing has changed then.
    pub fn register<H: NmiHandler>(
        &'static self,
        spec: &HandlerSpec<'_>,
        handler: &'static H,
    ) -> Result<Registration, RegisterError> {
        let (core, platform) = self.core_and_platform();
        // SAFETY: the handler is valid for ever.
        let id = unsafe { register::register(core, platform, spec, ErasedHandler::new(handler)) }?;
        self.owe_poll_for(id);
        Ok(Registration::new(core, platform, id))
    }

    /// Turns a handle from [`Registration::into_handle`] back into a guard. Not NMI-safe.
    ///
    /// # Errors
    ///
    /// [`HandleError::Stale`] if the handler is gone, [`HandleError::Guarded`] if a guard has it.
    pub fn reclaim(&'static self, id: HandlerId) -> Result<Registration, HandleError> {
        let (core, platform) = self.core_and_platform();
        register::reclaim(core, platform, id)?;
        Ok(Registration::new(core, platform, id))
    }

    /// A handler has been published. If it is a Platform one, its line may be asserted already, and
    /// give no edge.
    pub(crate) fn owe_poll_for(&'static self, id: HandlerId) {
        if id.class == Class::Platform {
            self.owe_poll();
        }
    }
}

/// A removal that did not happen, with the registration, which is whole: the handler is asked as
/// before.
#[derive(Debug)]
#[must_use = "dropping the registration removes the handler, waiting without bound"]
pub struct RemoveError {
    /// The registration, to keep or to try again with.
    pub registration: Registration,
    /// What stood in the way.
    pub failure: RemoveFailure,
}

impl fmt::Display for RemoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl Error for RemoveError {}
