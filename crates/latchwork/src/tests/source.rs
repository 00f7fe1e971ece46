// SPDX-License-Identifier: MIT OR Apache-2.0
//! A source with a sticky condition, and how a test lets time pass.

use super::world::{TestPlatform, World};
use crate::{
    Claim, Nmi, NmiContext, NmiHandler, Platform,
    primitive::{AtomicUsize, Ordering, const_unless_loom},
};

/// A source whose status stays until its handler clears it.
pub(super) struct Source {
    status: AtomicUsize,
    claims: AtomicUsize,
}

impl Source {
    const_unless_loom! {
        pub(super) fn new() -> Self {
            Self { status: AtomicUsize::new(0), claims: AtomicUsize::new(0) }
        }
    }

    pub(super) fn raise(&self) {
        self.status.store(1, Ordering::Relaxed);
    }

    /// Clears the status. Says whether it was set.
    pub(super) fn clear(&self) -> bool {
        self.status.load(Ordering::Relaxed) != 0 && self.status.swap(0, Ordering::Relaxed) != 0
    }

    pub(super) fn is_raised(&self) -> bool {
        self.status.load(Ordering::Relaxed) != 0
    }

    pub(super) fn claims(&self) -> usize {
        self.claims.load(Ordering::Relaxed)
    }
}

// SAFETY: it locks nothing, blocks nowhere, allocates nothing and is `Sync` by its own atomics.
unsafe impl NmiHandler for Source {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        if !self.clear() {
            return Claim::None;
        }
        self.claims.fetch_add(1, Ordering::Relaxed);
        Claim::Handled
    }
}

impl World {
    /// Lets `us` microseconds pass.
    pub(super) fn wait_us(&self, us: usize) {
        time_passes(self.nmi, us);
    }
}

/// The same, from a handler or an NMI on top.
pub(super) fn time_passes(nmi: &Nmi<TestPlatform>, us: usize) {
    let ticks = us * nmi.platform.ticks_per_ms() as usize / 1_000;
    nmi.platform.ticks.fetch_add(ticks, Ordering::Relaxed);
}
