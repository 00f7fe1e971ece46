// SPDX-License-Identifier: MIT OR Apache-2.0
//! The little of ACPI that is needed to find the CPUs, the I/O APICs, the wiring of NMI lines, and
//! the HPET: RSDP, RSDT or XSDT, and the MADT (ACPI Specification 6.5, sections 5.2.5 to 5.2.8 and
//! 5.2.12); the HPET table.
//!
//! This module allocates nothing and does not trust the firmware: it checks every access against
//! the declared length, and any bytes whatever give a value or an [`AcpiError`]. Use it at boot and
//! not in an NMI, since checksums take time.
//!
//! ```
//! # use latchwork_x86::{acpi::{AcpiError, Madt, Rsdp}, hw::PhysicalMemory};
//! fn count_cpus(memory: &impl PhysicalMemory, rsdp_address: u64) -> Result<usize, AcpiError> {
//!     let madt = Madt::find(memory, &Rsdp::read(memory, rsdp_address)?)?;
//!     let mut count = 0;
//!     for cpu in madt.cpus() {
//!         if cpu?.flags.is_enabled() {
//!             count += 1;
//!         }
//!     }
//!     Ok(count)
//! }
//! ```

#![deny(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod cpu;
mod error;
mod hpet;
mod interrupt;
mod madt;
mod madt_entry;
mod rsdp;
mod table;

pub use cpu::{Cpu, CpuError, Cpus, StartableCpus};
pub use error::{AcpiError, Signature};
pub use hpet::HpetTable;
pub use interrupt::{IoApicPin, IsaInterrupt};
pub use madt::{Entries, Madt};
pub use madt_entry::{CpuFlags, MadtEntry, PinFlags, PinPolarity, PinTrigger};
pub use rsdp::{RootTable, Rsdp};
pub use table::{MAX_TABLE_BYTES, Table};
