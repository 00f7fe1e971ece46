// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entries of the MADT (ACPI Specification 6.5, sections 5.2.12.2 to 5.2.12.13).

/// The longest of the entries that are decoded.
pub(super) const MAX_KNOWN_ENTRY_BYTES: usize = 16;

/// One entry of the MADT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MadtEntry {
    /// Type 0: a CPU with an 8-bit APIC ID.
    LocalApic {
        /// ACPI processor UID.
        processor_uid: u8,
        /// APIC ID.
        apic_id: u8,
        /// Whether the CPU can be used.
        flags: CpuFlags,
    },
    /// Type 1: an I/O APIC.
    IoApic {
        /// Its APIC ID.
        io_apic_id: u8,
        /// Physical address of its registers.
        address: u32,
        /// The first global system interrupt that it serves.
        first_interrupt: u32,
    },
    /// Type 2: an ISA interrupt that is not wired to the global system interrupt of the same
    /// number.
    InterruptSourceOverride {
        /// The bus, 0 for ISA.
        bus: u8,
        /// The interrupt's number on that bus.
        source: u8,
        /// The global system interrupt to which it is wired.
        interrupt: u32,
        /// How it is signalled.
        flags: PinFlags,
    },
    /// Type 3: a global system interrupt that is to be an NMI.
    NmiSource {
        /// How it is signalled.
        flags: PinFlags,
        /// The global system interrupt.
        interrupt: u32,
    },
    /// Type 4: a local APIC pin to which an NMI line is wired.
    LocalApicNmi {
        /// ACPI processor UID, FFH for all CPUs.
        processor_uid: u8,
        /// How it is signalled.
        flags: PinFlags,
        /// The pin: 0 for LINT0, 1 for LINT1.
        lint: u8,
    },
    /// Type 5: the 64-bit physical address of the local APIC's registers.
    LocalApicAddress {
        /// The address.
        address: u64,
    },
    /// Type 9: a CPU with a 32-bit APIC ID.
    LocalX2Apic {
        /// APIC ID.
        apic_id: u32,
        /// Whether the CPU can be used.
        flags: CpuFlags,
        /// ACPI processor UID.
        processor_uid: u32,
    },
    /// Type 0AH: as type 4, for CPUs with a 32-bit ACPI processor UID.
    LocalX2ApicNmi {
        /// How it is signalled.
        flags: PinFlags,
        /// ACPI processor UID, FFFF_FFFFH for all CPUs.
        processor_uid: u32,
        /// The pin: 0 for LINT0, 1 for LINT1.
        lint: u8,
    },
    /// An entry of another type.
    Other {
        /// Its type.
        kind: u8,
        /// Its offset in the MADT, in bytes.
        offset: u32,
        /// Its length in bytes.
        bytes: u8,
    },
}

impl MadtEntry {
    /// The length of an entry of type `kind`. A longer one may come from a later version of the
    /// specification. `None` if the type is not decoded.
    pub(super) const fn minimum_bytes(kind: u8) -> Option<u8> {
        match kind {
            0 | 3 => Some(8),
            1 | 5 | 10 => Some(12),
            2 => Some(10),
            4 => Some(6),
            9 => Some(16),
            _ => None,
        }
    }

    /// Decodes an entry that is at least [`minimum_bytes`](Self::minimum_bytes) long.
    pub(super) const fn decode(
        kind: u8,
        bytes: u8,
        offset: u32,
        body: &[u8; MAX_KNOWN_ENTRY_BYTES],
    ) -> Self {
        let [_, _, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15] = *body;
        let word_2 = u16::from_le_bytes([b2, b3]);
        let dword_4 = u32::from_le_bytes([b4, b5, b6, b7]);
        let dword_8 = u32::from_le_bytes([b8, b9, b10, b11]);
        match kind {
            0 => Self::LocalApic { processor_uid: b2, apic_id: b3, flags: CpuFlags(dword_4) },
            1 => Self::IoApic { io_apic_id: b2, address: dword_4, first_interrupt: dword_8 },
            2 => Self::InterruptSourceOverride {
                bus: b2,
                source: b3,
                interrupt: dword_4,
                flags: PinFlags(u16::from_le_bytes([b8, b9])),
            },
            3 => Self::NmiSource { flags: PinFlags(word_2), interrupt: dword_4 },
            4 => Self::LocalApicNmi {
                processor_uid: b2,
                flags: PinFlags(u16::from_le_bytes([b3, b4])),
                lint: b5,
            },
            5 => Self::LocalApicAddress {
                address: u64::from_le_bytes([b4, b5, b6, b7, b8, b9, b10, b11]),
            },
            9 => Self::LocalX2Apic {
                apic_id: dword_4,
                flags: CpuFlags(dword_8),
                processor_uid: u32::from_le_bytes([b12, b13, b14, b15]),
            },
            10 => {
                Self::LocalX2ApicNmi { flags: PinFlags(word_2), processor_uid: dword_4, lint: b8 }
            }
            _ => Self::Other { kind, offset, bytes },
        }
    }
}

/// Whether a CPU can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuFlags(u32);

impl CpuFlags {
    /// The CPU is ready for use.
    #[must_use]
    pub const fn is_enabled(self) -> bool {
        self.0 & 1 != 0
    }

    /// The CPU is not there yet but may come online while the system runs.
    #[must_use]
    pub const fn is_online_capable(self) -> bool {
        !self.is_enabled() && self.0 & 2 != 0
    }
}

/// How an interrupt line is signalled ("MPS INTI flags").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinFlags(u16);

/// Which level of a line is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinPolarity {
    /// As the line's bus defines it.
    AsBus,
    /// High.
    ActiveHigh,
    /// Low.
    ActiveLow,
    /// A value that the specification reserves.
    Reserved,
}

/// How a line is triggered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinTrigger {
    /// As the line's bus defines it.
    AsBus,
    /// By an edge.
    Edge,
    /// By a level.
    Level,
    /// A value that the specification reserves.
    Reserved,
}

impl PinFlags {
    /// Polarity and trigger mode as the line's bus defines them.
    pub(super) const AS_BUS: Self = Self(0);

    /// The line's polarity.
    #[must_use]
    pub const fn polarity(self) -> PinPolarity {
        match self.0 & 0b11 {
            0b00 => PinPolarity::AsBus,
            0b01 => PinPolarity::ActiveHigh,
            0b11 => PinPolarity::ActiveLow,
            _ => PinPolarity::Reserved,
        }
    }

    /// The line's trigger mode.
    #[must_use]
    pub const fn trigger(self) -> PinTrigger {
        match (self.0 >> 2) & 0b11 {
            0b00 => PinTrigger::AsBus,
            0b01 => PinTrigger::Edge,
            0b11 => PinTrigger::Level,
            _ => PinTrigger::Reserved,
        }
    }
}
