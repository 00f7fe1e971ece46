// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the MADT says of NMI lines and of I/O APIC pins, and every way in which it can be wrong.

mod image;
mod interrupts;
mod io_apic;
mod lint;
#[path = "../madt/tables.rs"]
mod tables;
