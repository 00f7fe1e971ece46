// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's NMI lines, as this kernel opens and closes them: the LINT pins of the executing CPU to which the MADT says that
//! an NMI line is wired.
//!
//! The pins are closed at boot. Whoever opens one must look at the sources behind it once afterwards: a line that is active
//! already gives no edge.

use core::fmt;

use latchwork_x86::acpi::AcpiError;
use latchwork_x86::icr::ApicId;
use latchwork_x86::lapic::lvt::Mask;
use latchwork_x86::nmi_lines::{LintNmis, WiringError};

use crate::apic;
use crate::boot::firmware;

/// Why no pin was programmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineError {
    /// The firmware's tables cannot be used.
    Tables(AcpiError),
    /// What the MADT says of the NMI lines cannot be used.
    Wiring(WiringError),
    /// The MADT does not list the executing CPU.
    UnlistedCpu(ApicId),
    /// The MADT wires no NMI line to the executing CPU.
    NoLine(LintNmis),
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tables(error) => error.fmt(f),
            Self::Wiring(error) => error.fmt(f),
            Self::UnlistedCpu(id) => {
                write!(f, "the MADT does not list the CPU with APIC ID {:#x}", id.get())
            }
            Self::NoLine(lines) => lines.fmt(f),
        }
    }
}

impl core::error::Error for LineError {}

impl From<AcpiError> for LineError {
    fn from(error: AcpiError) -> Self {
        Self::Tables(error)
    }
}

impl From<WiringError> for LineError {
    fn from(error: WiringError) -> Self {
        Self::Wiring(error)
    }
}

/// Lets the NMI lines of the executing CPU in, and says which those are. Threads only.
pub(crate) fn open_here() -> Result<LintNmis, LineError> {
    program_here(Mask::Unmasked)
}

/// Keeps the NMI lines of the executing CPU out, and says which those are. Threads only.
pub(crate) fn close_here() -> Result<LintNmis, LineError> {
    program_here(Mask::Masked)
}

fn program_here(mask: Mask) -> Result<LintNmis, LineError> {
    let lines = wired_here()?;
    if lines.is_empty() {
        return Err(LineError::NoLine(lines));
    }
    apic::program_nmi_lines(&lines, mask);
    Ok(lines)
}

/// What the MADT says of the executing CPU, which it names by a number of its own.
fn wired_here() -> Result<LintNmis, LineError> {
    let memory = firmware::memory();
    let madt = firmware::madt(&memory)?;
    let id = apic::id();
    for cpu in madt.cpus() {
        let cpu = cpu?;
        if cpu.apic_id == id {
            return Ok(LintNmis::of_cpu(&madt, cpu.processor_uid)?);
        }
    }
    Err(LineError::UnlistedCpu(id))
}
