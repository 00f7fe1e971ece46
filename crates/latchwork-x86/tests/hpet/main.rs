// SPDX-License-Identifier: MIT OR Apache-2.0
//! The HPET driver and the parser of its ACPI table, against a model and tables that are written
//! from the specification and share no constant with them.

mod counter;
mod model;
mod table;
mod timers;
