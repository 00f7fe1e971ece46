// SPDX-License-Identifier: MIT OR Apache-2.0
//! This kernel's use of the HPET: finds it, and wires a timer to an I/O APIC pin of its own.

use latchwork_x86::acpi::{HpetTable, IsaInterrupt, PinPolarity};
use latchwork_x86::hpet::{Hpet, HpetError, Output, Trigger};
use latchwork_x86::hw::MmioWindow;
use latchwork_x86::ioapic::Polarity;

use crate::boot::firmware;
use crate::mmio;

/// The HPET of this machine.
pub(crate) type MachineHpet = Hpet<MmioWindow>;

/// Interrupts below this one are those of ISA.
const FIRST_PCI_INTERRUPT: u8 = 16;

/// The ISA interrupt of the 8254, in whose place legacy replacement puts timer 0.
const ISA_TIMER: u8 = 0;

/// Finds the HPET. Ordinary context, once: the caller then owns its timers.
pub(crate) fn find() -> MachineHpet {
    let memory = firmware::memory();
    let table = firmware::rsdp(&memory).and_then(|rsdp| HpetTable::find(&memory, &rsdp));
    let address = match table {
        Ok(table) => table.address(),
        Err(error) => panic!("the firmware does not tell where the HPET is: {error}"),
    };
    // SAFETY: the firmware says that an HPET is there, the map is uncached there; nothing else in
    // this kernel programs it, and vector 2 has its gate.
    match unsafe { Hpet::new(mmio::registers(address)) } {
        Ok(hpet) => hpet,
        Err(error) => panic!("{error}, at {address:#x}"),
    }
}

/// A periodic timer and where its output goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wiring {
    /// The timer.
    pub(crate) timer: u8,
    /// The global system interrupt that it raises.
    pub(crate) interrupt: u32,
    /// Which level of that line is active.
    pub(crate) polarity: Polarity,
    output: Output,
}

impl Wiring {
    /// Finds a timer that can be periodic, and a line for it: one of those that ISA does not use,
    /// which is active low as PCI's are; else that of the 8254, by legacy replacement, which keeps
    /// the 8254's own interrupt out.
    ///
    /// The HPET counts pins of the I/O APIC whose interrupts begin at 0, so pins are global system
    /// interrupts.
    pub(crate) fn choose(hpet: &MachineHpet, trigger: Trigger) -> Self {
        for timer in 0..=hpet.capabilities().max_timer() {
            let capabilities = checked(hpet.timer_capabilities(timer));
            let pin = (FIRST_PCI_INTERRUPT..32).rfind(|pin| capabilities.reaches_pin(*pin));
            if let (true, Some(pin)) = (capabilities.has_periodic(), pin) {
                let output = Output::Pin { pin, trigger };
                let interrupt = u32::from(pin);
                return Self { timer, interrupt, polarity: Polarity::ActiveLow, output };
            }
        }
        let (interrupt, polarity) = isa_timer_line();
        Self { timer: 0, interrupt, polarity, output: Output::Legacy { trigger } }
    }

    /// Connects the timer, which is stopped, with its line.
    pub(crate) fn connect(&self, hpet: &MachineHpet) {
        if let Output::Legacy { .. } = self.output {
            checked(hpet.set_legacy_replacement(true));
        }
        checked(hpet.set_output(self.timer, self.output));
    }

    /// Stops the timer, and gives the 8254 its line back.
    pub(crate) fn disconnect(&self, hpet: &MachineHpet) {
        checked(hpet.stop(self.timer));
        checked(hpet.set_legacy_replacement(false));
    }
}

/// The interrupt and polarity to which the 8254 is wired, as the MADT says.
fn isa_timer_line() -> (u32, Polarity) {
    let memory = firmware::memory();
    match firmware::madt(&memory).and_then(|madt| madt.isa_interrupt(ISA_TIMER)) {
        Ok(IsaInterrupt { interrupt, flags }) => match flags.polarity() {
            PinPolarity::ActiveLow => (interrupt, Polarity::ActiveLow),
            _ => (interrupt, Polarity::ActiveHigh),
        },
        Err(error) => panic!("the MADT does not tell where the 8254 is wired to: {error}"),
    }
}

/// The value of a call that the capabilities allow.
pub(crate) fn checked<T>(result: Result<T, HpetError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the HPET refuses what it says it can do: {error}"),
    }
}
