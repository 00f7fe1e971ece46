// SPDX-License-Identifier: MIT OR Apache-2.0
//! The LINT pins of a CPU to which NMI lines are wired (ACPI Specification 6.5, sections 5.2.12.7
//! and 5.2.12.13).

use core::fmt;

use super::{WiringError, polarity_of};
use crate::NmiSource;
use crate::acpi::{Madt, MadtEntry, PinFlags};
use crate::hw::PhysicalMemory;
use crate::lapic::lvt::{Lint, LintDelivery, LvtError, Mask, Polarity};
use crate::lapic::{Access, Lapic};

const ALL_PROCESSORS: u32 = u32::MAX;

/// Which LINT pins of one CPU are NMI lines, and with which polarity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LintNmis {
    processor_uid: u32,
    lint0: Option<Polarity>,
    lint1: Option<Polarity>,
}

impl LintNmis {
    /// Reads the wiring of the CPU with the ACPI processor UID `processor_uid`: the entries that
    /// name it, and those for all CPUs.
    ///
    /// "As the bus" means active high. Entries for other CPUs are passed over, however bad: some
    /// firmware fills up its table with them. An entry that says the same as another does no harm.
    ///
    /// # Errors
    ///
    /// [`WiringError`]. Nothing is made of a table that contradicts itself; what to do then is the
    /// kernel's choice (tradition has it that NMI is at LINT1, active high).
    pub fn of_cpu<M: PhysicalMemory>(
        madt: &Madt<'_, M>,
        processor_uid: u32,
    ) -> Result<Self, WiringError> {
        let mut nmis = Self { processor_uid, lint0: None, lint1: None };
        for entry in madt.entries() {
            let (named, flags, lint) = match entry? {
                MadtEntry::LocalApicNmi { processor_uid: u8::MAX, flags, lint } => {
                    (ALL_PROCESSORS, flags, lint)
                }
                MadtEntry::LocalApicNmi { processor_uid, flags, lint } => {
                    (u32::from(processor_uid), flags, lint)
                }
                MadtEntry::LocalX2ApicNmi { flags, processor_uid, lint } => {
                    (processor_uid, flags, lint)
                }
                _ => continue,
            };
            if named == ALL_PROCESSORS || named == processor_uid {
                nmis.add(lint, flags)?;
            }
        }
        Ok(nmis)
    }

    fn add(&mut self, lint: u8, flags: PinFlags) -> Result<(), WiringError> {
        let processor_uid = self.processor_uid;
        let (pin, lint) = match lint {
            0 => (&mut self.lint0, Lint::Lint0),
            1 => (&mut self.lint1, Lint::Lint1),
            _ => return Err(WiringError::NoSuchLint { processor_uid, lint }),
        };
        let Some(polarity) = polarity_of(flags, Polarity::ActiveHigh) else {
            return Err(WiringError::ReservedLintFlags { processor_uid, lint, flags });
        };
        match *pin {
            Some(other) if other != polarity => {
                Err(WiringError::ContradictoryLint { processor_uid, lint })
            }
            _ => {
                *pin = Some(polarity);
                Ok(())
            }
        }
    }

    /// The polarity of the NMI line at `lint`; `None` if there is none.
    #[must_use]
    pub const fn at(&self, lint: Lint) -> Option<Polarity> {
        match lint {
            Lint::Lint0 => self.lint0,
            Lint::Lint1 => self.lint1,
        }
    }

    /// Whether the CPU has no NMI line.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lint0.is_none() && self.lint1.is_none()
    }

    /// Programs the pins that are NMI lines, and leaves the others as they are. `lapic` is that of
    /// the executing CPU, which is the one that was asked about, and is software-enabled.
    ///
    /// A pin is masked while its polarity changes. Whoever unmasks one must look at the sources
    /// behind it once afterwards: a line that is active already gives no edge.
    ///
    /// # Errors
    ///
    /// As [`Lapic::set_lint`], which gives none for an NMI.
    pub fn program<A: Access>(
        &self,
        lapic: &Lapic<A>,
        source: Option<NmiSource>,
        mask: Mask,
    ) -> Result<(), LvtError> {
        for lint in [Lint::Lint0, Lint::Lint1] {
            if let Some(polarity) = self.at(lint) {
                let delivery = LintDelivery::Nmi(source);
                lapic.set_lint(lint, delivery, polarity, Mask::Masked)?;
                if mask == Mask::Unmasked {
                    lapic.set_lint(lint, delivery, polarity, Mask::Unmasked)?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for LintNmis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "processor {}: ", self.processor_uid)?;
        if self.is_empty() {
            return formatter.write_str("MADT wires no NMI line to LINT0 or LINT1");
        }
        formatter.write_str("NMI line at")?;
        let mut separator = " ";
        for (name, pin) in [("LINT0", self.lint0), ("LINT1", self.lint1)] {
            let level = match pin {
                None => continue,
                Some(Polarity::ActiveHigh) => "high",
                Some(Polarity::ActiveLow) => "low",
            };
            write!(formatter, "{separator}{name} (active {level})")?;
            separator = " and ";
        }
        Ok(())
    }
}
