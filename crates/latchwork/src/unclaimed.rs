// SPDX-License-Identifier: MIT OR Apache-2.0
//! A storm of NMIs that nobody claims: a line without a handler, for example, that stays asserted.
//!
//! Reports of single ones are held back to one in 100 ms, and say nothing of a rate that brings the
//! CPU to a stand. So they are counted by windows of 100 ms, and the kernel is told once when one
//! window has too many, and once when a whole window had not.

use crate::{
    context::{NmiContext, SourceMap},
    cpu::PerCpu,
    nmi::Nmi,
    platform::Platform,
    primitive::{CounterU32, Ordering},
    storm::{Storm, StormSource, Storms},
};

/// How long a window is.
const WINDOW_MS: u32 = 100;

/// One CPU's NMIs that nobody claims, by windows. Own CPU: counted inside the read side, looked at
/// at its tick. An NMI on top between two accesses can at worst make a count one too small.
#[derive(Debug)]
pub(crate) struct UnclaimedBurst {
    /// The count of the last window that has any, and above it which that is, modulo 2¹⁶.
    burst: CounterU32,
    /// The last window that had too many, modulo 2¹⁶.
    too_many_in: CounterU32,
}

impl UnclaimedBurst {
    pub(crate) const fn new() -> Self {
        Self { burst: CounterU32::new(0), too_many_in: CounterU32::new(0) }
    }

    /// Counts one in `window`. Returns how many that makes there.
    fn count(&self, window: u16) -> usize {
        let burst = self.burst.load(Ordering::Relaxed);
        let before = if burst >> 16 == window.into() { burst & 0xFFFF } else { 0 };
        let count = before.saturating_add(1).min(0xFFFF);
        self.burst.store(u32::from(window) << 16 | count, Ordering::Relaxed);
        count as usize
    }

    fn note_too_many(&self, window: u16) {
        self.too_many_in.store(window.into(), Ordering::Relaxed);
    }

    /// Whether a whole window has passed since the last that had too many.
    fn is_over(&self, window: u16) -> bool {
        window.wrapping_sub(self.too_many_in.load(Ordering::Relaxed) as u16) >= 2
    }
}

impl<P: Platform> Nmi<P> {
    /// Nobody has claimed an NMI, as was found at `now_ticks`.
    pub(crate) fn watch_unclaimed(&self, ctx: &NmiContext<'_>, now_ticks: u64) {
        let burst = &ctx.area.counters.unclaimed;
        let window = self.window_of(now_ticks);
        let count = burst.count(window);
        if count <= self.core.shared.limits.unknowns_per_100_ms() {
            return;
        }
        burst.note_too_many(window);
        if ctx.area.storms.begin(Storms::UNCLAIMED) {
            let storm = unclaimed_storm(ctx.cpu, ctx.sources(), count);
            self.tell_beginning(ctx.area, &storm);
        }
    }

    /// At the tick.
    pub(crate) fn end_unclaimed_storm(&self, cpu: usize, area: &PerCpu, now_ticks: u64) {
        let is_over = area.counters.unclaimed.is_over(self.window_of(now_ticks));
        if is_over && area.storms.end(Storms::UNCLAIMED) {
            self.platform.storm_ended(&unclaimed_storm(cpu, None, 0));
        }
    }

    fn window_of(&self, ticks: u64) -> u16 {
        let window_ticks = self.platform.ticks_per_ms().saturating_mul(WINDOW_MS.into());
        ticks.checked_div(window_ticks).unwrap_or(0) as u16
    }
}

const fn unclaimed_storm(cpu: usize, sources: Option<SourceMap>, count: usize) -> Storm {
    Storm { cpu, source: StormSource::Unclaimed { sources }, count, within_ms: WINDOW_MS }
}
