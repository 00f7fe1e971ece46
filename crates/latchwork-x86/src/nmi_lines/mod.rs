// SPDX-License-Identifier: MIT OR Apache-2.0
//! How NMI lines are wired, from the MADT to the hardware: the LINT pins of each CPU
//! ([`LintNmis`]), and the I/O APIC pins that are to be NMIs ([`nmi_sources`]).
//!
//! Use it at boot and when a CPU comes online, not in an NMI.

#![deny(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod error;
mod io_apic;
mod lint;
mod no_line;

pub use error::WiringError;
pub use io_apic::{IoApicNmi, NmiSources, nmi_sources};
pub use lint::LintNmis;
pub use no_line::NoLine;

use crate::acpi::{PinFlags, PinPolarity, PinTrigger};
use crate::lapic::lvt::Polarity;

/// The polarity that `flags` mean on a bus whose own polarity is `of_bus`; `None` if they are
/// reserved.
///
/// An NMI is edge-triggered whatever the flags say: local and I/O APICs deliver it in no other way.
/// A line that the flags call level-triggered gives its edge when it becomes active.
const fn polarity_of(flags: PinFlags, of_bus: Polarity) -> Option<Polarity> {
    match (flags.polarity(), flags.trigger()) {
        (PinPolarity::Reserved, _) | (_, PinTrigger::Reserved) => None,
        (PinPolarity::AsBus, _) => Some(of_bus),
        (PinPolarity::ActiveHigh, _) => Some(Polarity::ActiveHigh),
        (PinPolarity::ActiveLow, _) => Some(Polarity::ActiveLow),
    }
}
