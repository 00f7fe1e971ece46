// SPDX-License-Identifier: MIT OR Apache-2.0
//! Global system interrupts: which I/O APIC pin serves one, and which of them an ISA interrupt is
//! (ACPI Specification 6.5, sections 5.2.12.3 and 5.2.12.5).

use super::error::AcpiError;
use super::madt::Madt;
use super::madt_entry::{MadtEntry, PinFlags};
use crate::hw::PhysicalMemory;

const ISA: u8 = 0;

/// An I/O APIC pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApicPin {
    /// Physical address of the I/O APIC's registers.
    pub address: u32,
    /// The pin. Only the I/O APIC's own version register says whether it has that pin:
    /// [`IoApic::set`](crate::ioapic::IoApic::set) looks there.
    pub pin: u8,
}

/// Where an interrupt of the ISA bus is wired to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsaInterrupt {
    /// The global system interrupt.
    pub interrupt: u32,
    /// How it is signalled.
    pub flags: PinFlags,
}

impl<M: PhysicalMemory> Madt<'_, M> {
    /// The pin that serves the global system interrupt `interrupt`: of the I/O APIC whose first one
    /// is the nearest below. `None` if there is no such I/O APIC, or if the pin's number would be
    /// more than 255.
    ///
    /// # Errors
    ///
    /// [`AcpiError`]: the table cannot be read, or an entry is malformed.
    pub fn io_apic_pin(&self, interrupt: u32) -> Result<Option<IoApicPin>, AcpiError> {
        let mut nearest: Option<(u32, u32)> = None;
        for entry in self.entries() {
            if let MadtEntry::IoApic { address, first_interrupt, .. } = entry? {
                let is_nearer = nearest.is_none_or(|(_, first)| first_interrupt > first);
                if first_interrupt <= interrupt && is_nearer {
                    nearest = Some((address, first_interrupt));
                }
            }
        }
        Ok(nearest.and_then(|(address, first_interrupt)| {
            let pin = u8::try_from(interrupt.checked_sub(first_interrupt)?).ok()?;
            Some(IoApicPin { address, pin })
        }))
    }

    /// Where the ISA interrupt `source` is wired to: what the first interrupt source override for
    /// it says, else the global system interrupt of the same number, signalled as the bus does it.
    ///
    /// # Errors
    ///
    /// [`AcpiError`]: the table cannot be read, or an entry is malformed.
    pub fn isa_interrupt(&self, source: u8) -> Result<IsaInterrupt, AcpiError> {
        for entry in self.entries() {
            match entry? {
                MadtEntry::InterruptSourceOverride { bus: ISA, source: of, interrupt, flags }
                    if of == source =>
                {
                    return Ok(IsaInterrupt { interrupt, flags });
                }
                _ => {}
            }
        }
        Ok(IsaInterrupt { interrupt: u32::from(source), flags: PinFlags::AS_BUS })
    }
}
