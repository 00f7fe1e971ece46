// SPDX-License-Identifier: MIT OR Apache-2.0
//! Drivers for the PCI devices that scenarios use.

pub(crate) mod edu;
pub(crate) mod watchdog_card;
