// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interprocessor interrupts, typed, and their encoding for the interrupt command register (ICR).
//!
//! The SDM lists which combinations of destination shorthand, trigger mode and delivery mode are
//! valid (Vol. 3A, table "Valid Combinations for the Pentium 4 and Intel Xeon Processors' Local
//! xAPIC Interrupt Command Register"). An [`Ipi`] can only be one of those, because the types leave
//! no room for another:
//!
//!  - An NMI, SMI, INIT or start-up IPI takes a [`Target`], which has no shorthand that includes
//!    the sender. **An NMI to oneself goes to the own APIC ID.** Emulators accept an NMI with the
//!    Self shorthand; hardware does not deliver it.
//!  - Only a fixed IPI takes a [`FixedTarget`].
//!  - A fixed IPI takes a [`Vector`], which is never below 16.
//!  - Every IPI is edge-triggered, level asserted.
//!  - Lowest-priority delivery does not exist here: the SDM calls it model-specific, to be avoided
//!    by system software, and x2APIC reserves it.
//!  - The x2APIC SELF_IPI register delivers fixed interrupts only.
//!    [`Lapic::send_self`](crate::lapic::Lapic::send_self) writes it, and takes a [`Vector`] and no
//!    [`Ipi`].
//!
//! ```compile_fail,E0308
//! # use latchwork_x86::icr::{FixedTarget, Ipi};
//! // An NMI by the Self shorthand.
//! let ipi = Ipi::Nmi { source: None, to: FixedTarget::ThisCpu };
//! ```
//!
//! ```compile_fail,E0308
//! # use latchwork_x86::icr::{FixedTarget, Ipi};
//! // An NMI by the All-including-self shorthand.
//! let ipi = Ipi::Nmi { source: None, to: FixedTarget::AllIncludingSelf };
//! ```
//!
//! ```compile_fail,E0599
//! # use latchwork_x86::icr::Target;
//! let to = Target::ThisCpu;
//! ```
//!
//! ```compile_fail,E0308
//! # use latchwork_x86::icr::{FixedTarget, Ipi};
//! // A fixed IPI with a vector that is just a number.
//! let ipi = Ipi::Fixed { vector: 2, to: FixedTarget::ThisCpu };
//! ```
//!
//! The valid forms do compile:
//!
//! ```
//! # use latchwork_x86::{icr::{ApicId, FixedTarget, Ipi, Target}, Vector};
//! let own_id = ApicId::from(3u8);
//! let to_self = Ipi::Nmi { source: None, to: Target::Cpu(own_id) };
//! let to_others = Ipi::Nmi { source: None, to: Target::AllExcludingSelf };
//! let wake = Ipi::Fixed { vector: Vector::of::<0xF0>(), to: FixedTarget::ThisCpu };
//! assert_eq!(to_self.to_x2apic(), 0x3_0000_4400);
//! ```

#![deny(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use core::fmt;

use crate::{NmiSource, Vector};

const DELIVERY_MODE_SHIFT: u32 = 8;
const LEVEL_ASSERT: u32 = 1 << 14;
const SHORTHAND_SHIFT: u32 = 18;
const XAPIC_DESTINATION_SHIFT: u32 = 24;
const X2APIC_DESTINATION_SHIFT: u32 = 32;

/// The physical APIC ID of one CPU.
///
/// The broadcast ID of x2APIC, FFFF_FFFFH, is not an ID of a CPU and cannot be represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApicId(u32);

impl ApicId {
    /// The ID `id`, or `None` for the broadcast ID.
    #[must_use]
    pub const fn new(id: u32) -> Option<Self> {
        if id == u32::MAX { None } else { Some(Self(id)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The ID as 8-bit destinations have it, which are those of xAPIC mode, of I/O APICs and of
    /// messages. `None` above 254: 255 is their broadcast ID.
    #[must_use]
    pub const fn narrow(self) -> Option<u8> {
        if self.0 < u8::MAX as u32 { Some(self.0 as u8) } else { None }
    }
}

impl From<u8> for ApicId {
    fn from(id: u8) -> Self {
        Self(id as u32)
    }
}

/// The number of the 4 KiB page below 1 MiB at which a CPU starts after a start-up IPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartupPage(u8);

impl StartupPage {
    /// The page `number`: the target starts in real mode at physical address `number << 12`.
    ///
    /// # Safety
    ///
    /// That page holds code that brings up a CPU, for as long as a start-up IPI may name it.
    #[must_use]
    pub const unsafe fn new(number: u8) -> Self {
        Self(number)
    }
}

/// Receivers of an IPI of any delivery mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// One CPU, which may be the sender.
    Cpu(ApicId),
    /// Every CPU but the sender.
    AllExcludingSelf,
}

/// Receivers of a fixed IPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FixedTarget {
    /// One CPU, which may be the sender.
    Cpu(ApicId),
    /// Every CPU but the sender.
    AllExcludingSelf,
    /// Every CPU and the sender.
    AllIncludingSelf,
    /// The sender.
    ThisCpu,
}

impl From<Target> for FixedTarget {
    fn from(target: Target) -> Self {
        target.widened()
    }
}

/// An interprocessor interrupt. See the [module documentation](self) for what cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ipi {
    /// A maskable interrupt.
    Fixed {
        /// The vector that the receivers take.
        vector: Vector,
        /// Who receives it.
        to: FixedTarget,
    },
    /// A non-maskable interrupt.
    Nmi {
        /// What a receiver with NMI-source reporting reports; other CPUs ignore it.
        source: Option<NmiSource>,
        /// Who receives it.
        to: Target,
    },
    /// A system management interrupt.
    Smi {
        /// Who receives it.
        to: Target,
    },
    /// INIT: resets the receivers, which then wait for a start-up IPI.
    Init {
        /// Who receives it.
        to: Target,
    },
    /// Start-up: starts receivers that wait after INIT.
    Startup {
        /// Where they start.
        page: StartupPage,
        /// Who receives it.
        to: Target,
    },
}

/// The two halves of the ICR in xAPIC mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XApicIcr {
    /// The upper half (offset 310H), to be written first. `None` if a shorthand makes it
    /// meaningless.
    pub high: Option<u32>,
    /// The lower half (offset 300H), whose write sends.
    pub low: u32,
}

/// The APIC ID does not fit into the 8-bit destination field of xAPIC mode, or is its broadcast ID
/// FFH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAddressable(pub ApicId);

impl fmt::Display for NotAddressable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "APIC ID {:#x} cannot be addressed in xAPIC mode", self.0.get())
    }
}

impl core::error::Error for NotAddressable {}

impl Ipi {
    /// The ICR in xAPIC mode (SDM Vol. 3A, "Interrupt Command Register (ICR)").
    ///
    /// # Errors
    ///
    /// [`NotAddressable`] if the target is one CPU with an APIC ID above 254.
    pub const fn to_xapic(&self) -> Result<XApicIcr, NotAddressable> {
        let fields = self.fields();
        let high = match fields.destination {
            None => None,
            Some(id) => match id.narrow() {
                Some(narrow) => Some((narrow as u32) << XAPIC_DESTINATION_SHIFT),
                None => return Err(NotAddressable(id)),
            },
        };
        Ok(XApicIcr { high, low: fields.low })
    }

    /// The ICR in x2APIC mode, MSR 830H (SDM Vol. 3A, "ICR Operation in x2APIC Mode").
    #[must_use]
    pub const fn to_x2apic(&self) -> u64 {
        let fields = self.fields();
        let destination = match fields.destination {
            None => 0,
            Some(id) => id.0 as u64,
        };
        (destination << X2APIC_DESTINATION_SHIFT) | fields.low as u64
    }

    const fn fields(&self) -> Fields {
        let (delivery_mode, vector, to) = match *self {
            Self::Fixed { vector, to } => (0b000, vector.get(), to),
            Self::Smi { to } => (0b010, 0, to.widened()),
            Self::Nmi { source, to } => (0b100, NmiSource::field(source), to.widened()),
            Self::Init { to } => (0b101, 0, to.widened()),
            Self::Startup { page, to } => (0b110, page.0, to.widened()),
        };
        let (shorthand, destination) = match to {
            FixedTarget::Cpu(id) => (0b00, Some(id)),
            FixedTarget::ThisCpu => (0b01, None),
            FixedTarget::AllIncludingSelf => (0b10, None),
            FixedTarget::AllExcludingSelf => (0b11, None),
        };
        let low: u32 = vector as u32
            | (delivery_mode << DELIVERY_MODE_SHIFT)
            | LEVEL_ASSERT
            | (shorthand << SHORTHAND_SHIFT);
        Fields { low, destination }
    }
}

impl Target {
    const fn widened(self) -> FixedTarget {
        match self {
            Self::Cpu(id) => FixedTarget::Cpu(id),
            Self::AllExcludingSelf => FixedTarget::AllExcludingSelf,
        }
    }
}

struct Fields {
    low: u32,
    destination: Option<ApicId>,
}
