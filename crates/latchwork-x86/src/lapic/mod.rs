// SPDX-License-Identifier: MIT OR Apache-2.0
//! The local APIC, in xAPIC mode and in x2APIC mode (SDM Vol. 3A, "Advanced Programmable Interrupt
//! Controller").
//!
//! [`Lapic`] is the driver. It is generic over how it reaches the registers: [`XApic`]
//! (memory-mapped), [`X2Apic`] (MSRs), or [`AnyApic`] for a kernel that decides at boot. [`mode`]
//! switches between the modes.
//!
//! A `Lapic` value stands for the APIC *of the CPU that executes the call*, so one value serves all
//! CPUs. Everything takes `&self`, and nothing locks, allocates or panics: every method is
//! NMI-safe.

#![deny(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod access;
mod error;
pub mod lvt;
pub mod mode;
mod registers;
mod send;
mod timer;

pub use access::{Access, AnyApic, X2Apic, XApic};
pub use error::{ErrorStatus, KeptErrors};
pub use send::{IDLE_POLL_LIMIT, SendError};
pub use timer::{Divider, TimerMode};

use crate::Vector;
use crate::icr::ApicId;
use registers::Register;

const SVR_SOFTWARE_ENABLE: u32 = 1 << 8;

/// Driver for the local APIC of the executing CPU.
#[derive(Clone, Copy, Debug)]
pub struct Lapic<A> {
    access: A,
}

impl<A: Access> Lapic<A> {
    /// Drives the local APIC through `access`.
    pub const fn new(access: A) -> Self {
        Self { access }
    }

    /// The register access that this driver uses.
    pub const fn access(&self) -> &A {
        &self.access
    }

    /// The APIC ID of the executing CPU.
    #[must_use]
    pub fn id(&self) -> ApicId {
        self.access.id()
    }

    /// The version register.
    #[must_use]
    pub fn version(&self) -> Version {
        Version(self.access.read(Register::Version))
    }

    /// Software-enables the APIC, with `spurious` as the vector of spurious interrupts. Other bits
    /// of the register stay.
    ///
    /// A software-disabled APIC, which is the state after reset, keeps every LVT entry masked,
    /// though it accepts NMI, INIT, SMI and start-up messages (SDM Vol. 3A, "Local APIC State After
    /// It Has Been Software Disabled"). So call this before you unmask any.
    ///
    /// The oldest CPUs (P6 family, Pentium) force the low 4 bits of the spurious vector to 1.
    pub fn enable(&self, spurious: Vector) {
        let kept = self.access.read(Register::SpuriousVector) & !0xFF;
        self.access.write(
            Register::SpuriousVector,
            kept | SVR_SOFTWARE_ENABLE | u32::from(spurious.get()),
        );
    }

    /// Software-disables the APIC. All LVT entries become masked.
    pub fn disable(&self) {
        let svr = self.access.read(Register::SpuriousVector);
        self.access.write(Register::SpuriousVector, svr & !SVR_SOFTWARE_ENABLE);
    }

    /// Whether the APIC is software-enabled.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.access.read(Register::SpuriousVector) & SVR_SOFTWARE_ENABLE != 0
    }

    /// The task priority: fixed interrupts whose vector divided by 16 is not above the upper 4 bits
    /// wait. NMIs do not.
    #[must_use]
    pub fn task_priority(&self) -> u8 {
        self.access.read(Register::TaskPriority).to_le_bytes()[0]
    }

    /// Sets the task priority. 0 lets every fixed interrupt through.
    pub fn set_task_priority(&self, priority: u8) {
        self.access.write(Register::TaskPriority, u32::from(priority));
    }

    /// Ends the fixed interrupt in service. Not for NMIs, which have no in-service bit.
    pub fn end_of_interrupt(&self) {
        self.access.write(Register::EndOfInterrupt, 0);
    }
}

/// The version register of a local APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(u32);

impl Version {
    /// The version number. 10H to 15H is an integrated APIC.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0 as u8
    }

    /// The number of the highest LVT entry, counted from 0, which determines which entries exist
    /// ([`lvt::Lvt`]).
    #[must_use]
    pub const fn max_lvt(self) -> u8 {
        (self.0 >> 16) as u8
    }
}
