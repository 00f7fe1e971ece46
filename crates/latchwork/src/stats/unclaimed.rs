// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many NMIs no handler claims, by windows of time.

use crate::primitive::{CounterU32, Ordering};

/// One CPU's NMIs that no handler claims, by windows. Own CPU: it counts them inside the read side,
/// and looks at them at its tick. An NMI on top between two accesses can at worst make a count one
/// too small.
#[derive(Debug)]
pub(crate) struct UnclaimedBurst {
    /// The count of the last window that has any, and above it the number of that window, modulo
    /// 2¹⁶.
    burst: CounterU32,
    /// The last window that had too many, modulo 2¹⁶.
    too_many_in: CounterU32,
}

impl UnclaimedBurst {
    pub(crate) const fn new() -> Self {
        Self { burst: CounterU32::new(0), too_many_in: CounterU32::new(0) }
    }

    /// Counts an NMI in `window`. Returns how many the window has now.
    pub(crate) fn count(&self, window: u16) -> usize {
        let burst = self.burst.load(Ordering::Relaxed);
        let before = if burst >> 16 == window.into() { burst & 0xFFFF } else { 0 };
        let count = before.saturating_add(1).min(0xFFFF);
        self.burst.store(u32::from(window) << 16 | count, Ordering::Relaxed);
        count as usize
    }

    pub(crate) fn note_too_many(&self, window: u16) {
        self.too_many_in.store(window.into(), Ordering::Relaxed);
    }

    /// Whether a whole window has passed since the last that had too many.
    pub(crate) fn is_over(&self, window: u16) -> bool {
        window.wrapping_sub(self.too_many_in.load(Ordering::Relaxed) as u16) >= 2
    }
}
