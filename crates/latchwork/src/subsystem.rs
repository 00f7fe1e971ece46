// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which subsystem a thing belongs to.
//!
//! A kernel has one [`Nmi`](crate::Nmi). But nothing keeps safe code from making two, and from
//! handing both the same per-CPU area or the same item of deferred work. What only one subsystem
//! may have carries the mark of its [`Owner`]. What names a thing of one subsystem carries its
//! [`SubsystemId`].

use crate::primitive::{AtomicUsize, Ordering, const_unless_loom};

/// A subsystem, by the address of its core. The address is never 0, and never that of another
/// subsystem: a core from which an id was made is `'static` and does not move.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SubsystemId(usize);

impl SubsystemId {
    pub(crate) fn at<T>(core: &T) -> Self {
        Self(core::ptr::from_ref(core).addr())
    }
}

impl core::fmt::Debug for SubsystemId {
    /// Without the address: it differs from run to run, and reveals where the kernel lies in
    /// memory.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SubsystemId")
    }
}

const NOBODY: usize = 0;

/// The one subsystem that may use a thing, once there is one.
///
/// *Writers*: a subsystem that claims the thing, by one exchange from `NOBODY`, in any context; and
/// the same subsystem, when it gives up what it has not used yet. *Readers*: the same. Relaxed: the
/// exchange alone lets one of several through, and no subsystem passes anything on by it. A claimer
/// finds the thing as it was made, since a thing that was given up had not been used.
#[derive(Debug)]
pub(crate) struct Owner(AtomicUsize);

impl Owner {
    const_unless_loom! {
        pub(crate) fn nobody() -> Self { Self(AtomicUsize::new(NOBODY)) }
    }

    /// Makes `subsystem` the owner, if there is none. Returns whether this call has made it so.
    pub(crate) fn claim(&self, subsystem: SubsystemId) -> bool {
        let claimed =
            self.0.compare_exchange(NOBODY, subsystem.0, Ordering::Relaxed, Ordering::Relaxed);
        claimed.is_ok()
    }

    /// Undoes a [`claim`](Self::claim) whose thing was not used.
    pub(crate) fn give_up(&self) {
        self.0.store(NOBODY, Ordering::Relaxed);
    }

    /// Whether another subsystem than `subsystem` is the owner.
    pub(crate) fn is_other_than(&self, subsystem: SubsystemId) -> bool {
        let owner = self.0.load(Ordering::Relaxed);
        owner != NOBODY && owner != subsystem.0
    }

    /// Makes `subsystem` the owner, unless another is. Returns whether it is.
    pub(crate) fn is_or_becomes(&self, subsystem: SubsystemId) -> bool {
        self.0.load(Ordering::Relaxed) == subsystem.0
            || self.claim(subsystem)
            || self.0.load(Ordering::Relaxed) == subsystem.0
    }
}
