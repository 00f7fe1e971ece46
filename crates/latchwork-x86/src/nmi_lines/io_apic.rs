// SPDX-License-Identifier: MIT OR Apache-2.0
//! The I/O APIC pins that are to be NMIs (ACPI Specification 6.5, sections 5.2.12.3 and 5.2.12.6).

use super::{WiringError, polarity_of};
use crate::NmiSource;
use crate::acpi::{Entries, IoApicPin, Madt, MadtEntry};
use crate::hw::PhysicalMemory;
use crate::icr::ApicId;
use crate::ioapic::{Delivery, Route};
use crate::lapic::lvt::Polarity;

const ISA_INTERRUPTS: u32 = 16;

/// An I/O APIC pin that is to be an NMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApicNmi {
    /// Physical address of the I/O APIC's registers.
    pub address: u32,
    /// The pin. Only the I/O APIC's own version register says whether it has that pin:
    /// [`IoApic::set`](crate::ioapic::IoApic::set) looks there.
    pub pin: u8,
    /// Which level of the pin is active.
    pub polarity: Polarity,
    /// The global system interrupt.
    pub interrupt: u32,
}

impl IoApicNmi {
    /// The route that makes the pin an NMI at the CPU `to`.
    #[must_use]
    pub const fn route(&self, source: Option<NmiSource>, to: ApicId) -> Route {
        Route { delivery: Delivery::Nmi(source), polarity: self.polarity, to }
    }
}

/// The NMI source entries of the MADT, each with its I/O APIC pin, in the table's order.
///
/// "As the bus" means active high for the first 16 interrupts, which are those of ISA, and active
/// low for all others, which are those of PCI.
///
/// An unusable entry gives an error and does not end the iteration; a malformed table does. An
/// interrupt that two entries name in the same way comes twice.
pub fn nmi_sources<'a, 'm, M: PhysicalMemory>(madt: &'a Madt<'m, M>) -> NmiSources<'a, 'm, M> {
    NmiSources { madt, entries: madt.entries() }
}

/// Iterator over the NMI sources of a MADT.
#[derive(Debug)]
pub struct NmiSources<'a, 'm, M> {
    madt: &'a Madt<'m, M>,
    entries: Entries<'m, M>,
}

impl<M: PhysicalMemory> Iterator for NmiSources<'_, '_, M> {
    type Item = Result<IoApicNmi, WiringError>;

    fn next(&mut self) -> Option<Self::Item> {
        let madt = self.madt;
        self.entries.by_ref().find_map(|entry| match entry {
            Ok(entry) => {
                let (interrupt, polarity) = source_polarity(&entry)?;
                Some(polarity.and_then(|polarity| locate(madt, interrupt, polarity)))
            }
            Err(error) => Some(Err(error.into())),
        })
    }
}

impl<M: PhysicalMemory> core::iter::FusedIterator for NmiSources<'_, '_, M> {}

fn locate<M: PhysicalMemory>(
    madt: &Madt<'_, M>,
    interrupt: u32,
    polarity: Polarity,
) -> Result<IoApicNmi, WiringError> {
    for entry in madt.entries() {
        if let Some((other, Ok(other_polarity))) = source_polarity(&entry?) {
            if other == interrupt && other_polarity != polarity {
                return Err(WiringError::ContradictorySource { interrupt });
            }
        }
    }
    match madt.io_apic_pin(interrupt)? {
        Some(IoApicPin { address, pin }) => Ok(IoApicNmi { address, pin, polarity, interrupt }),
        None => Err(WiringError::NoIoApic { interrupt }),
    }
}

/// The interrupt of an NMI source entry and its polarity; `None` for another entry.
fn source_polarity(entry: &MadtEntry) -> Option<(u32, Result<Polarity, WiringError>)> {
    let MadtEntry::NmiSource { flags, interrupt } = *entry else { return None };
    let of_bus =
        if interrupt < ISA_INTERRUPTS { Polarity::ActiveHigh } else { Polarity::ActiveLow };
    let polarity =
        polarity_of(flags, of_bus).ok_or(WiringError::ReservedSourceFlags { interrupt, flags });
    Some((interrupt, polarity))
}
