// SPDX-License-Identifier: MIT OR Apache-2.0
//! A source with a sticky condition, and how a test lets time pass.

use super::world::{TICKS_PER_MS, World};
use crate::{
    Claim, NmiContext, NmiHandler,
    primitive::{AtomicUsize, Counter, Ordering, const_unless_loom},
};

/// A source with a sticky status for each CPU, such as a counter's overflow. Each CPU touches its own only, so
/// loom is spared it.
pub(super) struct LocalSource([Counter; 3]);

impl LocalSource {
    pub(super) const fn new() -> Self {
        Self([const { Counter::new(0) }; 3])
    }

    pub(super) fn raise_on(&self, cpu: usize) {
        self.0[cpu].store(1, Ordering::Relaxed);
    }
}

// SAFETY: it locks nothing, blocks nowhere, allocates nothing and is `Sync` by its own atomics.
unsafe impl NmiHandler for LocalSource {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        match self.0[ctx.cpu()].swap(0, Ordering::Relaxed) {
            0 => Claim::None,
            _ => Claim::Handled,
        }
    }
}

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
        let ticks = us * TICKS_PER_MS as usize / 1_000;
        self.nmi.platform.ticks.fetch_add(ticks, Ordering::Relaxed);
    }
}
