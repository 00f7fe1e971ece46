// SPDX-License-Identifier: MIT OR Apache-2.0
//! The LINT pins of a CPU to which NMI lines are wired (ACPI Specification 6.5, sections 5.2.12.7
//! and 5.2.12.13).

use core::fmt;

use super::no_line::NoLine;
use super::{WiringError, polarity_of};
use crate::NmiSource;
use crate::acpi::{Madt, MadtEntry, PinFlags};
use crate::hw::PhysicalMemory;
use crate::lapic::lvt::{Lint, LintDelivery, LvtError, Mask, Polarity};
use crate::lapic::{Access, Lapic};

const ALL_PROCESSORS: u32 = u32::MAX;

/// Which LINT pins of one CPU are NMI lines, and with which polarity. At least one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LintNmis {
    processor_uid: u32,
    lint0: Option<Polarity>,
    lint1: Option<Polarity>,
    fault: Option<WiringError>,
}

impl LintNmis {
    /// Reads the wiring of the CPU with the ACPI processor UID `processor_uid`: the entries that
    /// name it, and those for all CPUs.
    ///
    /// "As the bus" means active high. The function passes over entries for other CPUs, however
    /// bad: some firmware fills up its table with them. An entry that says the same as another does
    /// no harm.
    ///
    /// A bad entry for this CPU costs only what it names. The function ignores an entry with a pin
    /// that local APICs do not have, or with reserved flags. It ignores a pin to which two entries
    /// give different polarities. A malformed entry hides the entries behind it. The value keeps
    /// the first such fault ([`fault`](Self::fault)), and a kernel ought to log it.
    ///
    /// # Errors
    ///
    /// [`NoLine`]: why no pin of this CPU is known to be an NMI line.
    /// [`NoLine::allows_traditional`] says whether the table is silent or wrong in a way in which
    /// [`traditional`](Self::traditional) is a sound choice:
    ///
    /// ```
    /// # use latchwork_x86::{acpi::Madt, hw::PhysicalMemory, nmi_lines::{LintNmis, NoLine}};
    /// # fn lines<M: PhysicalMemory>(
    /// #     madt: &Madt<'_, M>, uid: u32, log: &mut impl core::fmt::Write,
    /// # ) -> Result<LintNmis, NoLine> {
    /// match LintNmis::of_cpu(madt, uid) {
    ///     Err(reason) if reason.allows_traditional() => {
    ///         let lines = LintNmis::traditional(uid);
    ///         let _ = writeln!(log, "{reason}; assuming the traditional wiring: {lines}");
    ///         Ok(lines)
    ///     }
    ///     found => found,
    /// }
    /// # }
    /// ```
    pub fn of_cpu<M: PhysicalMemory>(
        madt: &Madt<'_, M>,
        processor_uid: u32,
    ) -> Result<Self, NoLine> {
        let mut pins = Pins::new(processor_uid);
        for entry in madt.entries() {
            match entry {
                Ok(entry) => {
                    let Some(nmi) = LintEntry::of(&entry) else { continue };
                    if nmi.named == ALL_PROCESSORS || nmi.named == processor_uid {
                        pins.add(nmi);
                    }
                }
                Err(error) => pins.note(error.into()),
            }
        }
        let Pins { lint0, lint1, fault, .. } = pins;
        let (lint0, lint1) = (lint0.polarity(), lint1.polarity());
        match (lint0.or(lint1), fault) {
            (Some(_), _) => Ok(Self { processor_uid, lint0, lint1, fault }),
            (None, Some(fault)) => Err(NoLine::BadEntries(fault)),
            (None, None) => Err(why_unnamed(madt, processor_uid)),
        }
    }

    /// The wiring that PCs have by tradition: the chipset's NMI line goes to LINT1 of every local
    /// APIC (MultiProcessor Specification 1.4, chapter 5, page 5-8, of the default configurations),
    /// active high. Use it for a CPU whose wiring the MADT does not give.
    ///
    /// Where there is no such line, programming the pin changes nothing. Where there is, it reaches
    /// all CPUs at the same time, and each CPU whose pin is unmasked takes an NMI for one signal.
    #[must_use]
    pub const fn traditional(processor_uid: u32) -> Self {
        Self { processor_uid, lint0: None, lint1: Some(Polarity::ActiveHigh), fault: None }
    }

    /// The polarity of the NMI line at `lint`; `None` if there is none.
    #[must_use]
    pub const fn at(&self, lint: Lint) -> Option<Polarity> {
        match lint {
            Lint::Lint0 => self.lint0,
            Lint::Lint1 => self.lint1,
        }
    }

    /// The first fault of the entries for this CPU, by which another pin may have been missed.
    #[must_use]
    pub const fn fault(&self) -> Option<WiringError> {
        self.fault
    }

    /// Programs the pins that are NMI lines, and leaves the others as they are. `lapic` is that of
    /// the executing CPU, which is the CPU of this wiring, and is software-enabled.
    ///
    /// The function keeps a pin masked while it changes the polarity. The caller that has unmasked
    /// a pin must look at the sources behind it once: a line that is active already gives no edge.
    ///
    /// # Errors
    ///
    /// As [`Lapic::set_lint`], which never fails for an NMI.
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
        write!(formatter, "processor {}: NMI line at", self.processor_uid)?;
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
        match self.fault {
            Some(fault) => write!(formatter, "; a bad entry was left out: {fault}"),
            None => Ok(()),
        }
    }
}

/// A local APIC NMI or local x2APIC NMI entry.
#[derive(Clone, Copy)]
struct LintEntry {
    /// [`ALL_PROCESSORS`], or the UID of one CPU.
    named: u32,
    flags: PinFlags,
    lint: u8,
}

impl LintEntry {
    const fn of(entry: &MadtEntry) -> Option<Self> {
        match *entry {
            MadtEntry::LocalApicNmi { processor_uid: u8::MAX, flags, lint } => {
                Some(Self { named: ALL_PROCESSORS, flags, lint })
            }
            MadtEntry::LocalApicNmi { processor_uid, flags, lint } => {
                Some(Self { named: processor_uid as u32, flags, lint })
            }
            MadtEntry::LocalX2ApicNmi { flags, processor_uid, lint } => {
                Some(Self { named: processor_uid, flags, lint })
            }
            _ => None,
        }
    }

    /// The pin and its polarity, as the CPU `processor_uid` has to take them.
    const fn decode(self, processor_uid: u32) -> Result<(Lint, Polarity), WiringError> {
        let Self { flags, lint, .. } = self;
        let lint = match lint {
            0 => Lint::Lint0,
            1 => Lint::Lint1,
            _ => return Err(WiringError::NoSuchLint { processor_uid, lint }),
        };
        match polarity_of(flags, Polarity::ActiveHigh) {
            Some(polarity) => Ok((lint, polarity)),
            None => Err(WiringError::ReservedLintFlags { processor_uid, lint, flags }),
        }
    }
}

/// What the entries for a CPU say of one pin.
#[derive(Clone, Copy)]
enum Pin {
    Unnamed,
    Wired(Polarity),
    InDoubt,
}

impl Pin {
    const fn polarity(self) -> Option<Polarity> {
        match self {
            Self::Wired(polarity) => Some(polarity),
            Self::Unnamed | Self::InDoubt => None,
        }
    }
}

/// What the entries for a CPU say, as far as this module has read them.
struct Pins {
    processor_uid: u32,
    lint0: Pin,
    lint1: Pin,
    fault: Option<WiringError>,
}

impl Pins {
    const fn new(processor_uid: u32) -> Self {
        Self { processor_uid, lint0: Pin::Unnamed, lint1: Pin::Unnamed, fault: None }
    }

    fn add(&mut self, entry: LintEntry) {
        let processor_uid = self.processor_uid;
        let (lint, polarity) = match entry.decode(processor_uid) {
            Ok(wired) => wired,
            Err(fault) => return self.note(fault),
        };
        let pin = match lint {
            Lint::Lint0 => &mut self.lint0,
            Lint::Lint1 => &mut self.lint1,
        };
        match *pin {
            Pin::Unnamed => *pin = Pin::Wired(polarity),
            Pin::Wired(other) if other == polarity => {}
            Pin::Wired(_) | Pin::InDoubt => {
                *pin = Pin::InDoubt;
                self.note(WiringError::ContradictoryLint { processor_uid, lint });
            }
        }
    }

    fn note(&mut self, fault: WiringError) {
        self.fault = self.fault.or(Some(fault));
    }
}

/// Why no entry of a table that can be read to its end is for the CPU `processor_uid`. Entries that
/// no CPU could use do not count.
fn why_unnamed<M: PhysicalMemory>(madt: &Madt<'_, M>, processor_uid: u32) -> NoLine {
    let usable = |entry| {
        let nmi = LintEntry::of(&entry)?;
        nmi.decode(nmi.named).is_ok().then_some(nmi.named)
    };
    let mut is_silent = true;
    for named in madt.entries().filter_map(|entry| usable(entry.ok()?)) {
        is_silent = false;
        if !madt.lists(named) {
            return NoLine::NamesAbsentCpu { processor_uid, absent_uid: named };
        }
    }
    if is_silent {
        NoLine::SilentTable { processor_uid }
    } else {
        NoLine::NotHere { processor_uid }
    }
}
