// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the loader and the firmware tell: the command line, and which CPUs there are.

use latchwork_x86::acpi::{AcpiError, Madt, Rsdp};
use latchwork_x86::hw::{DirectMap, PhysicalMemory};
use latchwork_x86::icr::ApicId;
use pvh::start_info::reader::StartInfoReader;

use crate::cmdline::CommandLine;
use crate::cpu::MAX_CPUS;

/// The identity map's end.
const MAPPED_END: u64 = 1 << 32;

/// What the loader handed over.
#[derive(Debug)]
pub(crate) struct Handover {
    /// The kernel command line; empty if there is none.
    pub(crate) cmdline: CommandLine,
    rsdp_address: Option<u64>,
}

/// Reads the PVH start info.
///
/// # Safety
///
/// `start_info_address` is what the loader passed in EBX, and the memory it names is as the loader left it.
pub(crate) unsafe fn handover(start_info_address: u32) -> Handover {
    // SAFETY: the caller vouches for the address, and all of it is identity-mapped for ever.
    let Some(reader) = (unsafe { StartInfoReader::from_paddr_identity(start_info_address) }) else {
        panic!("the loader left no PVH start info at {start_info_address:#x}");
    };
    let info = reader.raw();
    let rsdp_address = Some(info.rsdp_paddr).filter(|address| *address != 0);
    let cmdline = reader.cmdline().and_then(|line| line.to_str().ok()).unwrap_or("");
    Handover { cmdline: CommandLine::new(cmdline), rsdp_address }
}

/// The APIC IDs of the CPUs that can be started, in the firmware's order.
#[derive(Debug)]
pub(crate) struct ApicIds {
    ids: [Option<ApicId>; MAX_CPUS],
}

impl ApicIds {
    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ApicId> + '_ {
        self.ids.iter().copied().flatten()
    }
}

/// Finds the CPUs in the MADT: at most as many as this kernel can start.
pub(crate) fn cpus(handover: &Handover) -> ApicIds {
    // SAFETY: the low 4 GiB are identity-mapped, and nothing writes firmware tables.
    let memory = unsafe { DirectMap::new(0, MAPPED_END) };
    match read_madt(&memory, handover.rsdp_address) {
        Ok(ids) => ids,
        Err(error) => panic!("the firmware's tables do not list the CPUs: {error}"),
    }
}

fn read_madt(memory: &DirectMap, rsdp_address: Option<u64>) -> Result<ApicIds, AcpiError> {
    let rsdp = match rsdp_address {
        Some(address) => Rsdp::read(memory, address)?,
        None => scan_for_rsdp(memory)?,
    };
    let madt = Madt::find(memory, &rsdp)?;
    let mut ids = [None; MAX_CPUS];
    let mut free = ids.iter_mut();
    for cpu in madt.cpus() {
        let cpu = cpu?;
        if !cpu.flags.is_enabled() {
            continue;
        }
        match free.next() {
            Some(place) => *place = Some(cpu.apic_id),
            None => break,
        }
    }
    Ok(ApicIds { ids })
}

/// Looks for the RSDP where a BIOS puts it: in the first KiB of the extended BIOS data area, or in the BIOS area (ACPI
/// Specification 6.5, section 5.2.5.1).
fn scan_for_rsdp(memory: &DirectMap) -> Result<Rsdp, AcpiError> {
    const EBDA_SEGMENT_AT: u64 = 0x40e;
    const BIOS_AREA: core::ops::Range<u64> = 0xe_0000..0x10_0000;
    const STEP: usize = 16;

    let mut segment = [0; 2];
    let ebda = match memory.read(EBDA_SEGMENT_AT, &mut segment) {
        Ok(()) => u64::from(u16::from_le_bytes(segment)) << 4,
        Err(_) => 0,
    };
    let ebda = if ebda == 0 { 0..0 } else { ebda..ebda + 1024 };
    for address in ebda.step_by(STEP).chain(BIOS_AREA.step_by(STEP)) {
        match Rsdp::read(memory, address) {
            Err(AcpiError::NotAnRsdp { .. } | AcpiError::RsdpChecksum { .. }) => {}
            found => return found,
        }
    }
    Err(AcpiError::NotAnRsdp { address: BIOS_AREA.end })
}
