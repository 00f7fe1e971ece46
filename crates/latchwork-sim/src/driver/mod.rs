// SPDX-License-Identifier: MIT OR Apache-2.0
//! What kernel code sees of the machine. Each register access is a choice point. Each function does
//! what its namesake in a driver does, and reports nothing to the monitors.
//!
//! Policies use these functions: ours in its handlers, those of other kernels as those kernels do.

pub mod clock;
pub mod external;
pub mod interrupts;
pub mod lapic;
pub mod memory;
pub mod pmu;
pub mod port61;
pub mod report;

use crate::{
    engine::{Access, Observed, hardware},
    machine::Bus,
};

/// A read of a register on that bus.
fn read<R: Observed>(bus: Bus, act: impl FnOnce() -> R) -> R {
    match bus {
        Bus::Ports => hardware(Access::PortRead, act),
        Bus::Registers => hardware(Access::UncachedRead, act),
        Bus::Memory => hardware(Access::MsrRead, act),
    }
}

/// A write to a register on that bus. Ordinary memory takes it at once. On a real machine the store
/// may be late, but firmware waits for it.
fn write<R: Observed>(bus: Bus, act: impl FnOnce() -> R) -> R {
    match bus {
        Bus::Ports => hardware(Access::PortWrite, act),
        Bus::Registers => hardware(Access::UncachedWrite, act),
        Bus::Memory => hardware(Access::X2apicWrite, act),
    }
}
