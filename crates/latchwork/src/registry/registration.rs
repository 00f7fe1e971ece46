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

/// The guard of a registered `'static` handler. Dropping it removes the handler.
///
/// Leaking it is sound and leaves the handler registered for ever, which its `'static` lifetime
/// allows.
///
/// | | waits | where |
/// |---|---|---|
/// | [`remove`](Self::remove) | without bound | not in dispatch |
/// | [`remove_within_ms`](Self::remove_within_ms) | up to a limit | not in dispatch |
/// | [`try_remove`](Self::try_remove) | never; a [`Ticket`] says when it is over | anywhere |
/// | `drop` | without bound; in dispatch like `try_remove`, without ticket | anywhere |
///
/// "Anywhere" includes NMIs.
///
/// A caller that waits must hold nothing that a handler, or a CPU in a handler, waits for.
///
/// ```
/// # mod kernel { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/kernel.rs")); }
/// # use {kernel::Kernel, latchwork::*};
/// # static CPUS: [PerCpu; 4] = [const { PerCpu::new() }; 4];
/// # static NMI: Nmi<Kernel> = Nmi::new(Kernel);
/// # struct Watchdog;
/// # unsafe impl NmiHandler for Watchdog {
/// #     fn handle(&self, _: &NmiContext<'_>) -> Claim { Claim::Handled }
/// # }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # NMI.init(&CPUS)?;
/// # let spec = HandlerSpec::new("wd", Class::Local, Doorbell::Local(4), EdgeModel::PerCondition);
/// let watchdog: Registration = NMI.register(&spec, &Watchdog)?;
///
/// // A driver without room for a guard keeps the handle, and gets the guard back from it.
/// let handle: HandlerId = watchdog.into_handle();
/// let watchdog = NMI.reclaim(handle)?;
///
/// // It bounds the wait. If a CPU does not leave the handler in time, the guard comes back.
/// if let Err(RemoveError { registration, failure }) = watchdog.remove_within_ms(100) {
///     eprintln!("still registered: {failure}");
///     registration.remove()?; // waits without bound
/// }
/// assert_eq!(NMI.reclaim(handle).err(), Some(HandleError::Stale));
/// # Ok(()) }
/// ```
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

    /// The handle of this registration, for statistics and settings.
    #[must_use]
    pub const fn id(&self) -> HandlerId {
        self.id
    }

    /// Removes the handler. When it returns `Ok`, no CPU runs the handler or ever will: its memory
    /// and code may go. Everything that the handler did happens before that return.
    ///
    /// # Errors
    ///
    /// [`RemoveFailure::InDispatch`] in an NMI or inside dispatch. The error gives the registration
    /// back.
    pub fn remove(self) -> Result<(), RemoveError> {
        self.remove_up_to(None)
    }

    /// Like [`remove`](Self::remove), but waits `limit_ms` milliseconds at most.
    ///
    /// # Errors
    ///
    /// [`RemoveFailure::StillRunning`] names the CPU that did not leave dispatch in time. The error
    /// gives the registration back whole. While the attempt lasted no CPU asked the handler, so
    /// look at its condition if an edge of its doorbell may have come meanwhile.
    pub fn remove_within_ms(self, limit_ms: u64) -> Result<(), RemoveError> {
        self.remove_up_to(Some(limit_ms))
    }

    fn remove_up_to(self, limit_ms: Option<u64>) -> Result<(), RemoveError> {
        let registration = ManuallyDrop::new(self);
        remove::remove(registration.core, registration.platform, registration.id, limit_ms).map_err(
            |failure| RemoveError { registration: ManuallyDrop::into_inner(registration), failure },
        )
    }

    /// Makes the handler unreachable, from any context and without waiting. CPUs that found it
    /// before may still run it: the ticket says when none does. **NMI-safe.**
    pub fn try_remove(self) -> Ticket {
        let registration = ManuallyDrop::new(self);
        Ticket::new(registration.core, remove::try_remove(registration.core, registration.id))
    }

    /// Gives up the guard and keeps the handler registered. [`Nmi::reclaim`](crate::Nmi::reclaim)
    /// turns the handle into a guard again. Does not wait. **NMI-safe.**
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
    /// Registers a handler; a CPU may call it before this returns. Not NMI-safe. Waits for no NMI.
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

    /// Owes a poll for a handler that has just been published, if it is a Platform one: its line
    /// may be asserted already, and give no edge.
    pub(crate) fn owe_poll_for(&'static self, id: HandlerId) {
        if id.class == Class::Platform {
            self.owe_poll();
        }
    }
}

/// A removal that did not happen, with the registration. That is whole: dispatch asks the handler
/// as before.
#[derive(Debug)]
#[must_use = "dropping the registration removes the handler, waiting without bound"]
pub struct RemoveError {
    /// The registration, to keep or to try again with.
    pub registration: Registration,
    /// What prevented the removal.
    pub failure: RemoveFailure,
}

impl fmt::Display for RemoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl Error for RemoveError {}
