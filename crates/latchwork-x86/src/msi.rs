// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interrupts as memory writes: the address and data of a message that raises one (SDM Vol. 3A,
//! "Message Signalled Interrupts").
//!
//! [`pci`](crate::pci) devices and [`hpet`](crate::hpet) timers send such messages. A [`Message`]
//! has one physical destination, no redirection hint, and is edge-triggered, so a driver cannot ask
//! for an NMI as a level.

#![deny(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use core::fmt;

use crate::icr::ApicId;
use crate::{NmiSource, Vector};

const ADDRESS_BASE: u32 = 0xFEE0_0000;
const ADDRESS_DESTINATION_SHIFT: u32 = 12;
const DATA_NMI: u16 = 0b100 << 8;

/// A message that raises an interrupt at one CPU.
///
/// ```
/// # use latchwork_x86::{icr::ApicId, msi::Message};
/// let message = Message::nmi(ApicId::from(3u8), None)?;
/// assert_eq!((message.address(), message.data()), (0xFEE0_3000, 0x400));
/// # Ok::<(), latchwork_x86::msi::IdTooWide>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    address: u32,
    data: u16,
}

impl Message {
    /// An NMI to the CPU `to`, with the `source` that a CPU with NMI-source reporting reports;
    /// other CPUs ignore it.
    ///
    /// # Errors
    ///
    /// [`IdTooWide`].
    pub const fn nmi(to: ApicId, source: Option<NmiSource>) -> Result<Self, IdTooWide> {
        Self::edge(to, DATA_NMI | NmiSource::field(source) as u16)
    }

    /// The maskable interrupt `vector` to the CPU `to`.
    ///
    /// # Errors
    ///
    /// [`IdTooWide`].
    pub const fn fixed(to: ApicId, vector: Vector) -> Result<Self, IdTooWide> {
        Self::edge(to, vector.get() as u16)
    }

    const fn edge(to: ApicId, data: u16) -> Result<Self, IdTooWide> {
        match physical_destination(to) {
            Ok(destination) => Ok(Self {
                address: ADDRESS_BASE | (destination as u32) << ADDRESS_DESTINATION_SHIFT,
                data,
            }),
            Err(error) => Err(error),
        }
    }

    /// The physical address to which the device writes. The upper 32 bits of a 64-bit address are
    /// 0.
    #[must_use]
    pub const fn address(self) -> u32 {
        self.address
    }

    /// What the device writes there.
    #[must_use]
    pub const fn data(self) -> u16 {
        self.data
    }
}

/// The APIC ID does not fit into the 8-bit physical destination of a message or an I/O APIC entry,
/// or is its broadcast ID FFH. To reach such a CPU takes interrupt remapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdTooWide(pub ApicId);

impl fmt::Display for IdTooWide {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "APIC ID {:#x} cannot be the destination of a message or I/O APIC entry, which has 8 \
             bits",
            self.0.get()
        )
    }
}

impl core::error::Error for IdTooWide {}

pub(crate) const fn physical_destination(to: ApicId) -> Result<u8, IdTooWide> {
    match to.narrow() {
        Some(destination) => Ok(destination),
        None => Err(IdTooWide(to)),
    }
}
