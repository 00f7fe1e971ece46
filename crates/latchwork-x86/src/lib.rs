// SPDX-License-Identifier: MIT OR Apache-2.0
#![doc = include_str!("../README.md")]
#![no_std]

pub mod acpi;
#[cfg(target_arch = "x86_64")]
pub mod cpuid;
#[cfg(target_arch = "x86_64")]
pub mod entry;
pub mod hpet;
pub mod hw;
pub mod icr;
#[cfg(target_arch = "x86_64")]
pub mod idle;
pub mod ioapic;
pub mod lapic;
pub mod msi;
pub mod nmi_lines;
pub mod pci;
pub mod port61;
mod vector;

pub use vector::{NmiSource, Vector};
