// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handlers that do not live for ever: a pinned node that removes itself from the registry.
//!
//! A guard that borrows its handler would be unsound by itself: leaking the guard (`mem::forget`)
//! ends the borrow and leaves the registry with a dangling pointer. So it is the *node* that
//! removes: once it is pinned, nothing can use its memory again before its own `Drop` has run. What
//! the handler borrows has no such guarantee, so the handler borrows nothing that ends.

use core::{marker::PhantomPinned, pin::Pin};

use super::{
    error::{RegisterError, RemoveFailure},
    register, remove,
    slot::ErasedHandler,
};
use crate::{
    contract::{Fatal, HandlerId, HandlerSpec, NmiHandler, Platform},
    nmi::{Core, Nmi},
    primitive::{AtomicBool, Ordering, SharedCell, const_unless_loom},
};

/// A handler together with its place in the registry. Pin it, then
/// [`register`](Self::register) it.
///
/// ```
/// # use latchwork::*;
/// # use core::pin::pin;
/// # struct Idle; unsafe impl NmiHandler for Idle {
/// #     fn handle(&self, _: &NmiContext<'_>) -> Claim { Claim::None } }
/// # fn demo<P: Platform>(nmi: &'static Nmi<P>) -> Result<(), RegisterError> {
/// let handler = pin!(PinnedHandler::new(Idle));
/// let spec = HandlerSpec::new("idle", Class::Local, Doorbell::Local(4), EdgeModel::PerCondition);
/// let guard = handler.as_ref().register(nmi, &spec)?;
/// drop(guard); // removed, and over
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct PinnedHandler<H> {
    handler: H,
    link: Link,
    _pinned: PhantomPinned,
}

/// A node's place in the registry.
#[derive(Debug)]
struct Link {
    /// Set by the thread that registers the node, cleared once quiescence is reached. Acquire and
    /// Release hand `place` from one owner to the next.
    in_use: AtomicBool,
    place: SharedCell<Option<Place>>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    core: &'static Core,
    platform: &'static dyn Platform,
    id: HandlerId,
}

// SAFETY: `place` is accessed by the one thread that holds the guard, or that is registering, or by
// the node's `Drop`, which has the node to itself.
unsafe impl Sync for Link {}

impl<H> PinnedHandler<H> {
    const_unless_loom! {
        /// A node that is not registered.
        #[must_use]
        pub fn new(handler: H) -> Self {
            Self {
                handler,
                link: Link { in_use: AtomicBool::new(false), place: SharedCell::new(None) },
                _pinned: PhantomPinned,
            }
        }
    }

    /// The handler.
    pub const fn get(&self) -> &H {
        &self.handler
    }
}

impl<H: NmiHandler + 'static> PinnedHandler<H> {
    /// Registers the node. Not NMI-safe.
    ///
    /// The handler may live on a stack but must not borrow from one: leaking the node would end
    /// such a borrow and leave the handler registered, and pinning protects the node's own memory
    /// only.
    ///
    /// # Errors
    ///
    /// As [`Nmi::register`], and [`RegisterError::AlreadyRegistered`].
    pub fn register<'a, P: Platform>(
        self: Pin<&'a Self>,
        nmi: &'static Nmi<P>,
        spec: &HandlerSpec<'_>,
    ) -> Result<PinnedRegistration<'a>, RegisterError> {
        let node = self.get_ref();
        if node.link.in_use.swap(true, Ordering::Acquire) {
            return Err(RegisterError::AlreadyRegistered);
        }
        let (core, platform) = nmi.core_and_platform();
        // SAFETY: the node is pinned, so its memory stays until its `Drop` has run, and `Drop`
        // removes the handler and waits for quiescence, or does not return.
        let registered =
            unsafe { register::register(core, platform, spec, ErasedHandler::new(&node.handler)) };
        match registered {
            Ok(id) => {
                node.link.set_place(Some(Place { core, platform, id }));
                nmi.owe_poll_for(id);
                Ok(PinnedRegistration { link: &node.link, id })
            }
            Err(error) => {
                node.link.in_use.store(false, Ordering::Release);
                Err(error)
            }
        }
    }
}

impl<H> Drop for PinnedHandler<H> {
    fn drop(&mut self) {
        self.link.remove();
    }
}

impl Link {
    /// The caller set `in_use`, or holds the guard, or is the node's `Drop`.
    fn set_place(&self, place: Option<Place>) -> Option<Place> {
        self.place.with_mut(|cell| {
            // SAFETY: by this function's contract no other code accesses the cell.
            unsafe { core::mem::replace(&mut *cell, place) }
        })
    }

    fn remove(&self) {
        let Some(place) = self.set_place(None) else {
            return;
        };
        match remove::remove(place.core, place.platform, place.id, None) {
            Ok(()) | Err(RemoveFailure::StillRunning { .. }) => {
                self.in_use.store(false, Ordering::Release);
            }
            Err(RemoveFailure::InDispatch(context)) => {
                place.platform.fatal(Fatal::PinnedDroppedInDispatch { cpu: context.cpu });
            }
        }
    }
}

/// The guard of a registered [`PinnedHandler`]. Dropping it removes the handler and waits, without
/// bound; in an NMI or inside dispatch that is [fatal](Platform::fatal). Leaking it is sound: the
/// node removes itself when it is dropped.
#[derive(Debug)]
#[must_use = "dropping it removes the handler"]
pub struct PinnedRegistration<'a> {
    link: &'a Link,
    id: HandlerId,
}

impl PinnedRegistration<'_> {
    /// The handle of this registration, for statistics and settings.
    #[must_use]
    pub const fn id(&self) -> HandlerId {
        self.id
    }
}

impl Drop for PinnedRegistration<'_> {
    fn drop(&mut self) {
        self.link.remove();
    }
}
