// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hardware, modelled at the level of registers from the manuals that each model cites. The
//! models share no constants with the drivers in `latchwork-x86`.
//!
//! Kernel code reaches it through [`driver`](crate::driver) only.

mod cpu;
mod current;
mod edge;
mod external;
mod fact;
mod happening;
mod hardware;
mod lapic;
pub mod pmu;
pub mod port61;
mod state;
mod time;
mod wire;

pub use cpu::{Cpu, Doing, TICK_VECTOR, WORK_VECTOR};
pub use current::{Machine, current};
pub use edge::{Bell, Edge};
pub use external::External;
pub use fact::{Condition, CpuSet, Ending, Fact, Reported, Witness};
pub use happening::{Happening, Occurrence};
pub use hardware::{Apic, Bus, ExternalKind, Hardware, PmuKind, Ring, Route};
pub use lapic::{Icr, WrittenWhileBusy};
pub use pmu::Pmu;
pub use port61::Port61;
pub use state::{BEGINNING_US, SendUnderWay, State};
pub use time::Timing;
pub use wire::{Flight, Wire};
