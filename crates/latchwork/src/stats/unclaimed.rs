// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many NMIs no handler claims, by windows of time.

use crate::primitive::{Counter, Ordering};

/// One CPU's NMIs that no handler claims, by windows. Own CPU: it counts them inside the read side,
/// and looks at them at its tick. An NMI on top between two accesses can at worst make a count one
/// too small.
#[derive(Debug)]
pub(crate) struct UnclaimedBurst {
    /// The last window that has any.
    window: Counter,
    /// How many it has.
    count: Counter,
    /// The last window that had too many.
    too_many_in: Counter,
}

impl UnclaimedBurst {
    pub(crate) const fn new() -> Self {
        Self { window: Counter::new(0), count: Counter::new(0), too_many_in: Counter::new(0) }
    }

    /// Counts NMIs in `window`. Returns how many the window has now.
    pub(crate) fn count(&self, edges: usize, window: usize) -> usize {
        let is_new = self.window.load(Ordering::Relaxed) != window;
        let before = if is_new { 0 } else { self.count.load(Ordering::Relaxed) };
        let count = before.saturating_add(edges);
        self.window.store(window, Ordering::Relaxed);
        self.count.store(count, Ordering::Relaxed);
        count
    }

    pub(crate) fn note_too_many(&self, window: usize) {
        self.too_many_in.store(window, Ordering::Relaxed);
    }

    /// Whether a whole window has passed since the last that had too many.
    pub(crate) fn is_over(&self, window: usize) -> bool {
        window.wrapping_sub(self.too_many_in.load(Ordering::Relaxed)) >= 2
    }
}
