// SPDX-License-Identifier: MIT OR Apache-2.0
//! The list of CPUs (ACPI Specification 6.5, sections 5.2.12.2 and 5.2.12.12): each CPU once,
//! however often firmware lists it.

use core::fmt;

use super::error::AcpiError;
use super::madt::{Entries, Madt};
use super::madt_entry::{CpuFlags, MadtEntry};
use crate::hw::PhysicalMemory;
use crate::icr::ApicId;
use crate::lapic::mode::ApicMode;

/// A CPU that the MADT lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Its APIC ID.
    pub apic_id: ApicId,
    /// Its ACPI processor UID, by which NMI entries name it.
    pub processor_uid: u32,
    /// Enabled, or may come online later.
    pub flags: CpuFlags,
}

impl<'m, M: PhysicalMemory> Madt<'m, M> {
    /// The CPUs that are enabled or may come online, in the table's order.
    ///
    /// Each APIC ID comes once. Some firmware lists a CPU twice: as a local APIC and as a local
    /// x2APIC, or by two entries of one type. The first local APIC entry with an ID stands for its
    /// CPU; where there is none, the first local x2APIC entry does. The specification asks for
    /// local APIC entries below 255 as a compatibility with older kernels only, so a CPU below 255
    /// that is listed as a local x2APIC alone is a CPU. (Linux drops such a CPU if any valid local
    /// APIC entry is in the table.)
    ///
    /// The iterator leaves out entries that are neither enabled nor online capable, and those with
    /// the broadcast IDs FFH and FFFF_FFFFH, with which some firmware fills up the table. Such an
    /// entry does not hide another one either.
    ///
    /// The iterator searches the table again for each CPU. Use it at boot, not in an NMI.
    pub fn cpus(&self) -> Cpus<'m, M> {
        Cpus { entries: self.entries() }
    }

    /// Whether one of [`cpus`](Self::cpus) has the ACPI processor UID `processor_uid`. It takes one
    /// walk over the table, and one more for each entry with that UID.
    pub(crate) fn lists(&self, processor_uid: u32) -> bool {
        let mut entries = self.entries();
        loop {
            let offset = entries.offset();
            let Some(Ok(entry)) = entries.next() else { return false };
            let cpu = usable_cpu(&entry).filter(|cpu| cpu.processor_uid == processor_uid);
            if cpu.is_some_and(|cpu| offset_of(cpu.apic_id, self.entries()) == Some(offset)) {
                return true;
            }
        }
    }

    /// The CPUs that are enabled and that an interprocessor interrupt reaches while local APICs are
    /// in `mode`: those that a kernel can start now, and the executing one.
    ///
    /// A CPU that no IPI can reach gives an error and does not end the iteration; a malformed table
    /// does.
    ///
    /// ```
    /// # use latchwork_x86::{acpi::Madt, hw::PhysicalMemory, lapic::mode::ApicMode};
    /// # fn start<M: PhysicalMemory>(madt: &Madt<'_, M>, log: &mut impl core::fmt::Write) {
    /// for cpu in madt.startable_cpus(ApicMode::XApic) {
    ///     match cpu {
    ///         Ok(cpu) => { /* send INIT and start-up IPIs to cpu.apic_id */ }
    ///         Err(error) => drop(writeln!(log, "{error}")),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn startable_cpus(&self, mode: ApicMode) -> StartableCpus<'m, M> {
        StartableCpus { cpus: self.cpus(), mode }
    }
}

/// Iterator over the usable CPUs of a MADT ([`Madt::cpus`]).
#[derive(Debug)]
pub struct Cpus<'m, M> {
    entries: Entries<'m, M>,
}

impl<M: PhysicalMemory> Iterator for Cpus<'_, M> {
    type Item = Result<Cpu, AcpiError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let offset = self.entries.offset();
            match self.entries.next()? {
                Ok(entry) => {
                    let Some(cpu) = usable_cpu(&entry) else { continue };
                    if offset_of(cpu.apic_id, self.entries.restarted()) == Some(offset) {
                        return Some(Ok(cpu));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl<M: PhysicalMemory> core::iter::FusedIterator for Cpus<'_, M> {}

/// Where the entry is that stands for the CPU `apic_id`. Entries behind a malformed one do not
/// count: the iteration never reaches them.
fn offset_of<M: PhysicalMemory>(apic_id: ApicId, mut entries: Entries<'_, M>) -> Option<u32> {
    let mut wide = None;
    loop {
        let offset = entries.offset();
        let Some(Ok(entry)) = entries.next() else { return wide };
        if usable_cpu(&entry).is_some_and(|cpu| cpu.apic_id == apic_id) {
            match entry {
                MadtEntry::LocalApic { .. } => return Some(offset),
                _ => wide = wide.or(Some(offset)),
            }
        }
    }
}

fn usable_cpu(entry: &MadtEntry) -> Option<Cpu> {
    let (apic_id, processor_uid, flags) = match *entry {
        MadtEntry::LocalApic { apic_id, processor_uid, flags } if apic_id != u8::MAX => {
            (ApicId::from(apic_id), u32::from(processor_uid), flags)
        }
        MadtEntry::LocalX2Apic { apic_id, processor_uid, flags } => {
            (ApicId::new(apic_id)?, processor_uid, flags)
        }
        _ => return None,
    };
    (flags.is_enabled() || flags.is_online_capable()).then_some(Cpu {
        apic_id,
        processor_uid,
        flags,
    })
}

/// Iterator over the CPUs that can be started ([`Madt::startable_cpus`]).
#[derive(Debug)]
pub struct StartableCpus<'m, M> {
    cpus: Cpus<'m, M>,
    mode: ApicMode,
}

impl<M: PhysicalMemory> Iterator for StartableCpus<'_, M> {
    type Item = Result<Cpu, CpuError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mode = self.mode;
        self.cpus.by_ref().find_map(|cpu| match cpu {
            Ok(cpu) if !cpu.flags.is_enabled() => None,
            Ok(cpu) if !mode.reaches(cpu.apic_id) => Some(Err(CpuError::OutOfReach { cpu, mode })),
            Ok(cpu) => Some(Ok(cpu)),
            Err(error) => Some(Err(CpuError::Table(error))),
        })
    }
}

impl<M: PhysicalMemory> core::iter::FusedIterator for StartableCpus<'_, M> {}

/// Why a CPU that the MADT lists cannot be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CpuError {
    /// The table cannot be read, or an entry is malformed. The entries behind it are unknown.
    Table(AcpiError),
    /// Local APICs in this mode cannot address the CPU's APIC ID.
    OutOfReach {
        /// The CPU.
        cpu: Cpu,
        /// The mode of the local APICs.
        mode: ApicMode,
    },
}

impl fmt::Display for CpuError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(error) => error.fmt(formatter),
            Self::OutOfReach { cpu: Cpu { apic_id, processor_uid, .. }, mode } => write!(
                formatter,
                "processor {processor_uid} cannot be started: APIC ID {:#x} cannot be addressed \
                 {}",
                apic_id.get(),
                match mode {
                    ApicMode::Disabled => "while the local APIC is disabled",
                    ApicMode::XApic => "in xAPIC mode; x2APIC mode reaches it",
                    ApicMode::X2Apic => "in x2APIC mode",
                }
            ),
        }
    }
}

impl core::error::Error for CpuError {}

impl From<AcpiError> for CpuError {
    fn from(error: AcpiError) -> Self {
        Self::Table(error)
    }
}
