// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's NMI lines, as this kernel opens and closes them: the LINT pins of the executing
//! CPU to which the MADT says that an NMI line is wired, or LINT1 where the MADT does not say how
//! this CPU is wired ([`LintNmis::traditional`]).
//!
//! The pins are closed at boot. The code that opens one must look at the sources behind it once
//! afterwards: a line that is active already gives no edge.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use latchwork_x86::acpi::AcpiError;
use latchwork_x86::icr::ApicId;
use latchwork_x86::lapic::lvt::Mask;
use latchwork_x86::nmi_lines::{LintNmis, NoLine};

use crate::apic;
use crate::boot::firmware;
use crate::console::println;
use crate::cpu::{MAX_CPUS, area};

/// Whether the log says what is odd about the wiring of each CPU. Only that CPU reads and writes
/// it.
static LOGGED: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// Why no pin was programmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineError {
    /// The firmware's tables cannot be used.
    Tables(AcpiError),
    /// The MADT does not list the executing CPU.
    UnlistedCpu(ApicId),
    /// The MADT gives the executing CPU no NMI line, and no reason to assume one.
    NoLine(NoLine),
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tables(error) => error.fmt(f),
            Self::UnlistedCpu(id) => {
                write!(f, "the MADT does not list the CPU with APIC ID {:#x}", id.get())
            }
            Self::NoLine(reason) => reason.fmt(f),
        }
    }
}

impl core::error::Error for LineError {}

impl From<AcpiError> for LineError {
    fn from(error: AcpiError) -> Self {
        Self::Tables(error)
    }
}

impl From<NoLine> for LineError {
    fn from(reason: NoLine) -> Self {
        Self::NoLine(reason)
    }
}

/// Lets the NMI lines of the executing CPU in, and returns which those are. Threads only.
pub(crate) fn open_here() -> Result<LintNmis, LineError> {
    program_here(Mask::Unmasked)
}

/// Keeps the NMI lines of the executing CPU out, and returns which those are. Threads only.
pub(crate) fn close_here() -> Result<LintNmis, LineError> {
    program_here(Mask::Masked)
}

fn program_here(mask: Mask) -> Result<LintNmis, LineError> {
    let lines = wired_here()?;
    apic::program_nmi_lines(&lines, mask);
    Ok(lines)
}

/// What the MADT says of the executing CPU, which it names by a number of its own, or tradition
/// where the MADT does not say.
fn wired_here() -> Result<LintNmis, LineError> {
    let memory = firmware::memory();
    let madt = firmware::madt(&memory)?;
    let id = apic::id();
    for cpu in madt.cpus() {
        let cpu = cpu?;
        if cpu.apic_id == id {
            let found = LintNmis::of_cpu(&madt, cpu.processor_uid);
            return Ok(chosen(cpu.processor_uid, found)?);
        }
    }
    Err(LineError::UnlistedCpu(id))
}

/// The wiring that this kernel assumes. If it differs from what the MADT says, each CPU logs once
/// why.
fn chosen(processor_uid: u32, found: Result<LintNmis, NoLine>) -> Result<LintNmis, NoLine> {
    match found {
        Ok(lines) => {
            if lines.fault().is_some() && is_first_time() {
                println!("{lines}");
            }
            Ok(lines)
        }
        Err(reason) if reason.allows_traditional() => {
            let lines = LintNmis::traditional(processor_uid);
            if is_first_time() {
                println!("{reason}; assuming the traditional wiring: {lines}");
            }
            Ok(lines)
        }
        Err(reason) => Err(reason),
    }
}

fn is_first_time() -> bool {
    let logged = area::current_cpu().and_then(|cpu| LOGGED.get(cpu));
    logged.is_some_and(|logged| !logged.swap(true, Ordering::Relaxed))
}
