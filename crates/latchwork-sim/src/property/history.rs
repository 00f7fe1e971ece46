// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hand-made histories for the monitors' tests.

use super::Monitor;
use crate::{
    engine::Violation,
    machine::{Bell, CpuSet, Edge, Ending, Fact, Reported},
};

/// The verdict of `monitor` on a history, in which time passes only by [`Fact::Passed`].
pub(super) fn verdict(mut monitor: impl Monitor, history: &[Fact]) -> Result<(), Violation> {
    let mut now_us = 1_000_000;
    for fact in history {
        if let Fact::Passed { by_us, .. } = fact {
            now_us += by_us;
        }
        monitor.note(now_us, fact)?;
    }
    monitor.finish()
}

/// CPU 0 takes its NMI `serial`.
pub(super) fn taken(serial: usize, bells: &[Bell]) -> Fact {
    Fact::Taken { cpu: 0, serial, edge: Edge::of(bells) }
}

/// CPU 0 ends its NMI `serial`.
pub(super) fn ended(serial: usize, ending: Ending) -> Fact {
    Fact::Ended { cpu: 0, serial, ending, accesses: 1 }
}

/// CPU 0 reports about its NMI `serial`.
pub(super) fn report(serial: usize, reported: Reported) -> Fact {
    Fact::Report { cpu: 0, serial, reported }
}

/// Time passes; CPU 0 and its interrupts are open.
pub(super) fn passed(by_us: u64) -> Fact {
    Fact::Passed { by_us, deaf: CpuSet(0), attentive: CpuSet(1), ticking: CpuSet(1), busy: false }
}

/// Time passes; CPU 0 can take nothing.
pub(super) fn passed_deaf(by_us: u64) -> Fact {
    Fact::Passed { by_us, deaf: CpuSet(1), attentive: CpuSet(0), ticking: CpuSet(0), busy: false }
}
