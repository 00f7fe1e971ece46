// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the MADT says of NMI lines, and every way in which it can be wrong.

mod image;
mod io_apic;
mod lint;
