// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the firmware's tables say: which CPUs there are, and where the tables are that say more.

use core::sync::atomic::{AtomicU64, Ordering};

use latchwork_x86::acpi::{AcpiError, CpuError, Madt, Rsdp};
use latchwork_x86::hw::{DirectMap, PhysicalMemory};
use latchwork_x86::icr::ApicId;
use latchwork_x86::lapic::mode::ApicMode;

use crate::console::println;
use crate::cpu::MAX_CPUS;

/// The identity map's end.
const MAPPED_END: u64 = 1 << 32;

/// Where the loader says the RSDP is; 0 if it does not say. Written once, by the boot CPU, before
/// others start.
static RSDP_ADDRESS: AtomicU64 = AtomicU64::new(0);

/// Says where the loader put the RSDP, or a copy that stays; 0 if it does not say. Boot CPU, once,
/// before others start.
pub(super) fn set_rsdp_address(address: u64) {
    RSDP_ADDRESS.store(address, Ordering::Relaxed);
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

/// Physical memory as far as it is mapped: all below 4 GiB.
pub(crate) const fn memory() -> DirectMap {
    // SAFETY: the low 4 GiB are identity-mapped, and nothing writes firmware tables.
    unsafe { DirectMap::new(0, MAPPED_END) }
}

/// Finds the root of the firmware's tables: where the loader says, or where a BIOS puts it.
pub(crate) fn rsdp(memory: &DirectMap) -> Result<Rsdp, AcpiError> {
    match RSDP_ADDRESS.load(Ordering::Relaxed) {
        0 => scan_for_rsdp(memory),
        address => Rsdp::read(memory, address),
    }
}

/// Finds the MADT.
pub(crate) fn madt(memory: &DirectMap) -> Result<Madt<'_, DirectMap>, AcpiError> {
    Madt::find(memory, &rsdp(memory)?)
}

/// Finds the CPUs in the MADT that can be started while local APICs are in `mode`: at most as many
/// as this kernel has room for. Logs those that it cannot address.
pub(crate) fn cpus(mode: ApicMode) -> ApicIds {
    match list_cpus(&memory(), mode) {
        Ok(ids) => ids,
        Err(error) => panic!("the firmware's tables do not list the CPUs: {error}"),
    }
}

fn list_cpus(memory: &DirectMap, mode: ApicMode) -> Result<ApicIds, AcpiError> {
    let madt = madt(memory)?;
    let mut ids = [None; MAX_CPUS];
    let mut free = ids.iter_mut();
    for cpu in madt.startable_cpus(mode) {
        match cpu {
            Ok(cpu) => match free.next() {
                Some(place) => *place = Some(cpu.apic_id),
                None => break,
            },
            Err(CpuError::Table(error)) => return Err(error),
            Err(error) => println!("{error}"),
        }
    }
    Ok(ApicIds { ids })
}

/// Looks for the RSDP where a BIOS puts it: in the first KiB of the extended BIOS data area, or in
/// the BIOS area (ACPI Specification 6.5, section 5.2.5.1).
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
