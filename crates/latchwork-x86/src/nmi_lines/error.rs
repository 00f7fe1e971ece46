// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be wrong with what the MADT says of NMI lines.

use core::fmt;

use crate::acpi::{AcpiError, PinFlags};
use crate::lapic::lvt::Lint;

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
                "MADT wires an NMI line to LINT{lint} of processor {processor_uid}, but there are \
                 LINT0 and LINT1 only"
            ),
            Self::ReservedLintFlags { processor_uid, lint, flags } => write!(
                formatter,
                "MADT has reserved flags for the NMI line at {lint:?} of processor \
                 {processor_uid}: polarity {:?}, trigger {:?}",
                flags.polarity(),
                flags.trigger()
            ),
            Self::ContradictoryLint { processor_uid, lint } => write!(
                formatter,
                "MADT has two polarities for the NMI line at {lint:?} of processor \
                 {processor_uid}"
            ),
            Self::ReservedSourceFlags { interrupt, flags } => write!(
                formatter,
                "MADT has reserved flags for the NMI source at global system interrupt \
                 {interrupt}: polarity {:?}, trigger {:?}",
                flags.polarity(),
                flags.trigger()
            ),
            Self::ContradictorySource { interrupt } => write!(
                formatter,
                "MADT has two polarities for the NMI source at global system interrupt \
                 {interrupt}"
            ),
            Self::NoIoApic { interrupt } => write!(
                formatter,
                "MADT has an NMI source at global system interrupt {interrupt}, which no I/O APIC \
                 serves"
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
