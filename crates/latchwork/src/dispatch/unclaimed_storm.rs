// SPDX-License-Identifier: MIT OR Apache-2.0
//! Storms of NMIs that no handler claims: for example, a line without a handler stays asserted.
//!
//! A CPU reports single unknown NMIs at most once in 100 ms, so the reports do not show a rate that
//! brings the CPU to a standstill. So the CPU counts them by windows of 100 ms. The library calls
//! the kernel once when a window has too many, and once when a whole window did not.

use crate::{
    contract::{NmiContext, Platform, SourceMap, Storm, StormSource},
    cpu::PerCpu,
    nmi::Nmi,
    stats::Storms,
};

/// How long a window is.
const WINDOW_MS: u32 = 100;

impl<P: Platform> Nmi<P> {
    /// Counts NMIs that no handler claims, as was found at `now_ticks`.
    pub(crate) fn watch_unclaimed(&self, ctx: &NmiContext<'_>, edges: usize, now_ticks: u64) {
        let burst = &ctx.area.counters.unclaimed;
        let window = self.window_of(now_ticks);
        let count = burst.count(edges, window);
        if count <= self.core.recovery.limits.unknowns_per_100_ms() {
            return;
        }
        burst.note_too_many(window);
        if ctx.area.storms.begin(Storms::UNCLAIMED) {
            let storm = unclaimed_storm(ctx.cpu, ctx.sources(), count);
            self.tell_beginning(ctx.area, &storm);
        }
    }

    /// At the tick: ends the storm, if it is over.
    pub(crate) fn end_unclaimed_storm(&self, cpu: usize, area: &PerCpu, now_ticks: u64) {
        let is_over = area.counters.unclaimed.is_over(self.window_of(now_ticks));
        if is_over && area.storms.end(Storms::UNCLAIMED) {
            self.platform.storm_ended(&unclaimed_storm(cpu, None, 0));
        }
    }

    fn window_of(&self, ticks: u64) -> usize {
        let window_ticks = self.platform.ticks_per_ms().saturating_mul(WINDOW_MS.into());
        ticks.checked_div(window_ticks).unwrap_or(0) as usize
    }
}

pub(super) const fn unclaimed_storm(cpu: usize, sources: Option<SourceMap>, count: usize) -> Storm {
    Storm { cpu, source: StormSource::Unclaimed { sources }, count, within_ms: WINDOW_MS }
}
