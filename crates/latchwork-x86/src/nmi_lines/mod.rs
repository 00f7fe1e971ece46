// SPDX-License-Identifier: MIT OR Apache-2.0
//! How NMI lines are wired, from the MADT to the hardware: the LINT pins of each CPU
//! ([`LintNmis`]), and the I/O APIC pins that are to be NMIs ([`nmi_sources`]).
//!
//! Meant for boot time and for bringing CPUs up, not for NMI context.

#![deny(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod io_apic;
mod lint;

use core::fmt;

pub use io_apic::{IoApicNmi, NmiSources, nmi_sources};
pub use lint::LintNmis;

use crate::acpi::{AcpiError, PinFlags, PinPolarity, PinTrigger};
use crate::lapic::lvt::{Lint, Polarity};

/// What is wrong with what the MADT says of NMI lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WiringError {
    /// The table itself is bad.
    Table(AcpiError),
    /// An entry for this CPU names a pin that local APICs do not have.
    NoSuchLint {
        /// The CPU, by its ACPI processor UID.
        processor_uid: u32,
        /// The pin that the entry names.
        lint: u8,
    },
    /// An entry for this CPU has a polarity or trigger mode that the specification reserves.
    ReservedLintFlags {
        /// The CPU, by its ACPI processor UID.
        processor_uid: u32,
        /// The pin.
        lint: Lint,
        /// The flags.
        flags: PinFlags,
    },
    /// Two entries for this CPU and the same pin differ in polarity.
    ContradictoryLint {
        /// The CPU, by its ACPI processor UID.
        processor_uid: u32,
        /// The pin.
        lint: Lint,
    },
    /// An NMI source has a polarity or trigger mode that the specification reserves.
    ReservedSourceFlags {
        /// The global system interrupt.
        interrupt: u32,
        /// The flags.
        flags: PinFlags,
    },
    /// Two NMI source entries for the same global system interrupt differ in polarity.
    ContradictorySource {
        /// The global system interrupt.
        interrupt: u32,
    },
    /// No I/O APIC of the table serves the global system interrupt of an NMI source.
    NoIoApic {
        /// The global system interrupt.
        interrupt: u32,
    },
}

impl fmt::Display for WiringError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Table(error) => error.fmt(formatter),
            Self::NoSuchLint { processor_uid, lint } => write!(
                formatter,
                "MADT wires an NMI line to LINT{lint} of processor {processor_uid}, but there are LINT0 and LINT1 only"
            ),
            Self::ReservedLintFlags { processor_uid, lint, flags } => write!(
                formatter,
                "MADT has reserved flags for the NMI line at {lint:?} of processor {processor_uid}: polarity {:?}, trigger {:?}",
                flags.polarity(),
                flags.trigger()
            ),
            Self::ContradictoryLint { processor_uid, lint } => write!(
                formatter,
                "MADT has two polarities for the NMI line at {lint:?} of processor {processor_uid}"
            ),
            Self::ReservedSourceFlags { interrupt, flags } => write!(
                formatter,
                "MADT has reserved flags for the NMI source at global system interrupt {interrupt}: polarity {:?}, trigger {:?}",
                flags.polarity(),
                flags.trigger()
            ),
            Self::ContradictorySource { interrupt } => write!(
                formatter,
                "MADT has two polarities for the NMI source at global system interrupt {interrupt}"
            ),
            Self::NoIoApic { interrupt } => write!(
                formatter,
                "MADT has an NMI source at global system interrupt {interrupt}, which no I/O APIC serves"
            ),
        }
    }
}

impl core::error::Error for WiringError {}

impl From<AcpiError> for WiringError {
    fn from(error: AcpiError) -> Self {
        Self::Table(error)
    }
}

/// The polarity that `flags` mean on a bus whose own polarity is `of_bus`; `None` if they are
/// reserved.
///
/// An NMI is edge-triggered whatever the flags say: local APIC and I/O APIC know no other. A line
/// that the flags call level-triggered gives its edge when it becomes active.
const fn polarity_of(flags: PinFlags, of_bus: Polarity) -> Option<Polarity> {
    match (flags.polarity(), flags.trigger()) {
        (PinPolarity::Reserved, _) | (_, PinTrigger::Reserved) => None,
        (PinPolarity::AsBus, _) => Some(of_bus),
        (PinPolarity::ActiveHigh, _) => Some(Polarity::ActiveHigh),
        (PinPolarity::ActiveLow, _) => Some(Polarity::ActiveLow),
    }
}
