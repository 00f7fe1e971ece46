// SPDX-License-Identifier: MIT OR Apache-2.0
//! This kernel's use of the I/O APICs: one pin at a time, as an NMI line.

use core::sync::atomic::{AtomicBool, Ordering};

use latchwork_x86::acpi::IoApicPin;
use latchwork_x86::hw::MmioWindow;
use latchwork_x86::ioapic::{Delivery, IoApic, IoApicError, Mask, Polarity, Route};

use crate::boot::firmware;
use crate::{apic, mmio};

/// Whether an I/O APIC has an owner. The code that takes one swaps it, Acquire; the drop clears it,
/// Release.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// An I/O APIC pin that raises NMIs, masked at first and when it is dropped. Ordinary context only.
#[derive(Debug)]
pub(crate) struct NmiLine {
    io_apic: IoApic<MmioWindow>,
    pin: u8,
    polarity: Polarity,
}

impl NmiLine {
    /// Takes the pin that serves the global system interrupt `interrupt`, with its I/O APIC. There
    /// can be one such value at a time.
    pub(crate) fn of_interrupt(interrupt: u32, polarity: Polarity) -> Self {
        assert!(!TAKEN.swap(true, Ordering::Acquire), "somebody owns an I/O APIC already");
        let memory = firmware::memory();
        let found = firmware::madt(&memory).and_then(|madt| madt.io_apic_pin(interrupt));
        let IoApicPin { address, pin } = match found {
            Ok(Some(found)) => found,
            Ok(None) => panic!("the MADT has no I/O APIC for interrupt {interrupt}"),
            Err(error) => {
                panic!("the MADT does not tell the I/O APIC of interrupt {interrupt}: {error}")
            }
        };
        // SAFETY: the firmware says that an I/O APIC is there; `TAKEN` keeps others out; vector 2
        // has its gate; nobody has switched interrupt remapping on.
        let io_apic = match unsafe { IoApic::new(mmio::registers(address.into())) } {
            Ok(io_apic) => io_apic,
            Err(error) => panic!("{error}, at {address:#x}"),
        };
        Self { io_apic, pin, polarity }
    }

    /// Makes the line ring `cpu`, or no CPU while it is masked. A line that is active when it is
    /// unmasked gives no edge.
    pub(crate) fn route_to(&mut self, cpu: usize, mask: Mask) {
        let Some(to) = apic::target(cpu) else {
            panic!("CPU {cpu} has no APIC ID");
        };
        let route = Route { delivery: Delivery::Nmi(None), polarity: self.polarity, to };
        programmed(self.io_apic.set(self.pin, &route, mask));
    }

    /// Keeps the line from ringing.
    pub(crate) fn mask(&mut self) {
        programmed(self.io_apic.set_mask(self.pin, Mask::Masked));
    }
}

impl Drop for NmiLine {
    fn drop(&mut self) {
        self.mask();
        TAKEN.store(false, Ordering::Release);
    }
}

fn programmed(result: Result<(), IoApicError>) {
    if let Err(error) = result {
        panic!("the I/O APIC refuses an entry: {error}");
    }
}
