// SPDX-License-Identifier: MIT OR Apache-2.0
//! One CPU's performance counters: two of them, and Intel PT's output buffer, behind one entry of
//! the local vector table.
//!
//! Source: SDM Vol. 3B, "IA32_PERF_GLOBAL_STATUS" and "IA32_PERF_GLOBAL_CTRL"; Vol. 3A, "Local
//! Vector Table"; Vol. 3C, "ToPA PMI".

use super::PmuKind;

/// The overflow bits.
pub mod bit {
    /// Counter 0.
    pub const COUNTER_0: u8 = 1 << 0;
    /// Counter 1.
    pub const COUNTER_1: u8 = 1 << 1;
    /// Trace_ToPA_PMI. Tracing goes on while the counters are stopped.
    pub const TOPA: u8 = 1 << 2;
    /// Both counters.
    pub const COUNTERS: u8 = COUNTER_0 | COUNTER_1;
    /// All of them.
    pub const ALL: [u8; 3] = [COUNTER_0, COUNTER_1, TOPA];
}

/// The registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pmu {
    status: u8,
    lvt_masked: bool,
    counters_stopped: bool,
}

impl Pmu {
    /// Whether the source of that bit can overflow now.
    pub fn can_overflow(&self, bit: u8) -> bool {
        bit == bit::TOPA || !self.counters_stopped
    }

    /// The source of that bit overflows. Returns whether the entry rings: it does so unless it is
    /// masked, and then masks itself if the CPU is of that kind.
    pub fn overflow(&mut self, bit: u8, kind: PmuKind) -> bool {
        self.status |= bit;
        let rings = !self.lvt_masked;
        if kind == PmuKind::Masking {
            self.lvt_masked = true;
        }
        rings
    }

    /// IA32_PERF_GLOBAL_STATUS.
    pub fn status(&self) -> u8 {
        self.status
    }

    /// IA32_PERF_GLOBAL_STATUS_RESET. Returns the bits that were set.
    pub fn acknowledge(&mut self, bits: u8) -> u8 {
        let cleared = self.status & bits;
        self.status &= !bits;
        cleared
    }

    /// Writes the entry with its mask flag clear. An overflow that came while the flag was set does
    /// not ring.
    pub fn unmask(&mut self) {
        self.lvt_masked = false;
    }

    /// IA32_PERF_GLOBAL_CTRL.
    pub fn stop_counters(&mut self, stopped: bool) {
        self.counters_stopped = stopped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overflow_while_masked_sets_its_bit_and_rings_neither_then_nor_later() {
        let mut pmu = Pmu::default();
        assert!(pmu.overflow(bit::COUNTER_0, PmuKind::Masking));
        assert!(!pmu.overflow(bit::COUNTER_1, PmuKind::Masking));
        pmu.unmask();
        assert_eq!(pmu.status(), bit::COUNTER_0 | bit::COUNTER_1);
        assert_eq!(pmu.acknowledge(bit::COUNTER_1), bit::COUNTER_1);
        assert!(pmu.overflow(bit::TOPA, PmuKind::Masking));
    }

    #[test]
    fn without_the_mask_each_overflow_rings() {
        let mut pmu = Pmu::default();
        let kind = PmuKind::Free { late_us: 1, max_late_edges: 1 };
        assert!(pmu.overflow(bit::COUNTER_0, kind) && pmu.overflow(bit::COUNTER_0, kind));
        assert_eq!(pmu.status(), bit::COUNTER_0, "one status for two rings");
    }

    #[test]
    fn stopped_counters_do_not_overflow_and_tracing_goes_on() {
        let mut pmu = Pmu::default();
        pmu.stop_counters(true);
        assert!(!pmu.can_overflow(bit::COUNTER_0) && pmu.can_overflow(bit::TOPA));
    }
}
