// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the driver reaches the registers of a local APIC.

use super::registers::{Register, X2APIC_ICR, X2APIC_SELF_IPI};
use super::send::{SendError, send_by_two_halves};
use crate::Vector;
use crate::hw::{Mmio, Msr};
use crate::icr::{ApicId, FixedTarget, Ipi};

/// Access to the registers of the executing CPU's local APIC. Only [`XApic`], [`X2Apic`] and
/// [`AnyApic`] implement it.
pub trait Access: sealed::Registers {}

pub(super) mod sealed {
    use super::{ApicId, Ipi, Register, SendError, Vector};

    pub trait Registers {
        fn read(&self, register: Register) -> u32;
        fn write(&self, register: Register, value: u32);
        fn id(&self) -> ApicId;
        fn send(&self, ipi: &Ipi) -> Result<(), SendError>;
        fn send_self(&self, vector: Vector) -> Result<(), SendError>;
    }
}

use sealed::Registers;

/// Registers in memory: xAPIC mode.
#[derive(Clone, Copy, Debug)]
pub struct XApic<M> {
    page: M,
}

impl<M: Mmio> XApic<M> {
    /// Takes the register page.
    ///
    /// # Safety
    ///
    ///  - `page` is the 4 KiB register page of the local APIC, mapped uncacheable.
    ///  - Every CPU that uses the value has its local APIC in xAPIC mode at that time
    ///    ([`mode`](super::mode)).
    ///  - The kernel has an interrupt gate for every vector that it programs or sends through the
    ///    value.
    pub const unsafe fn new(page: M) -> Self {
        Self { page }
    }
}

impl<M: Mmio> Access for XApic<M> {}

impl<M: Mmio> Registers for XApic<M> {
    #[inline]
    fn read(&self, register: Register) -> u32 {
        // SAFETY: every `Register` is an aligned offset inside the register page, which `page` is
        // (contract of `new`). No register has a read effect.
        unsafe { self.page.read(register.offset()) }
    }

    #[inline]
    fn write(&self, register: Register, value: u32) {
        // SAFETY: as for `read`. What the write does is bounded by the typed methods of `Lapic` and
        // by the contract of `new`.
        unsafe { self.page.write(register.offset(), value) }
    }

    fn id(&self) -> ApicId {
        let [.., id] = self.read(Register::Id).to_le_bytes();
        ApicId::from(id)
    }

    fn send(&self, ipi: &Ipi) -> Result<(), SendError> {
        send_by_two_halves(self, ipi)
    }

    fn send_self(&self, vector: Vector) -> Result<(), SendError> {
        self.send(&Ipi::Fixed { vector, to: FixedTarget::ThisCpu })
    }
}

/// Registers as MSRs: x2APIC mode.
#[derive(Clone, Copy, Debug)]
pub struct X2Apic<M> {
    msr: M,
}

impl<M: Msr> X2Apic<M> {
    /// Takes the MSRs.
    ///
    /// # Safety
    ///
    ///  - `msr` is the executing CPU's, and every use is at privilege level 0.
    ///  - Every CPU that uses the value has its local APIC in x2APIC mode at that time
    ///    ([`mode`](super::mode)).
    ///  - The kernel has an interrupt gate for every vector that it programs or sends through the
    ///    value.
    pub const unsafe fn new(msr: M) -> Self {
        Self { msr }
    }

    /// `WRMSR` to an x2APIC register is not serialising: without the fences an IPI may overtake the
    /// stores that tell the receiver why it was sent (SDM Vol. 3A, "MSR Access in x2APIC Mode").
    fn write_after_stores(&self, index: u32, value: u64) {
        self.msr.order_stores_before_write();
        // SAFETY: the callers pass the ICR or SELF_IPI with an encoded IPI; the rest is the
        // contract of `new`.
        unsafe { self.msr.write(index, value) }
    }
}

impl<M: Msr> Access for X2Apic<M> {}

impl<M: Msr> Registers for X2Apic<M> {
    #[inline]
    fn read(&self, register: Register) -> u32 {
        // SAFETY: x2APIC mode (contract of `new`) has an MSR for every `Register` but the upper ICR
        // half, which only `XApic` uses, and for LVT entries that `Lapic` has found to be present.
        let value = unsafe { self.msr.read(register.msr()) };
        value as u32
    }

    #[inline]
    fn write(&self, register: Register, value: u32) {
        // SAFETY: as for `read`; the callers set no reserved bit.
        unsafe { self.msr.write(register.msr(), u64::from(value)) }
    }

    fn id(&self) -> ApicId {
        // No CPU has the broadcast ID.
        ApicId::new(self.read(Register::Id)).unwrap_or(ApicId::from(u8::MAX))
    }

    /// One write sends, so there is nothing that an NMI could interrupt, and no delivery status to
    /// wait for (SDM Vol. 3A, "ICR Operation in x2APIC Mode").
    fn send(&self, ipi: &Ipi) -> Result<(), SendError> {
        self.write_after_stores(X2APIC_ICR, ipi.to_x2apic());
        Ok(())
    }

    fn send_self(&self, vector: Vector) -> Result<(), SendError> {
        self.write_after_stores(X2APIC_SELF_IPI, u64::from(vector.get()));
        Ok(())
    }
}

/// Registers in the mode that was chosen at boot.
#[derive(Clone, Copy, Debug)]
pub enum AnyApic<P, R> {
    /// xAPIC mode.
    XApic(XApic<P>),
    /// x2APIC mode.
    X2Apic(X2Apic<R>),
}

impl<P: Mmio, R: Msr> Access for AnyApic<P, R> {}

impl<P: Mmio, R: Msr> Registers for AnyApic<P, R> {
    #[inline]
    fn read(&self, register: Register) -> u32 {
        match self {
            Self::XApic(apic) => apic.read(register),
            Self::X2Apic(apic) => apic.read(register),
        }
    }

    #[inline]
    fn write(&self, register: Register, value: u32) {
        match self {
            Self::XApic(apic) => apic.write(register, value),
            Self::X2Apic(apic) => apic.write(register, value),
        }
    }

    fn id(&self) -> ApicId {
        match self {
            Self::XApic(apic) => apic.id(),
            Self::X2Apic(apic) => apic.id(),
        }
    }

    #[inline]
    fn send(&self, ipi: &Ipi) -> Result<(), SendError> {
        match self {
            Self::XApic(apic) => apic.send(ipi),
            Self::X2Apic(apic) => apic.send(ipi),
        }
    }

    #[inline]
    fn send_self(&self, vector: Vector) -> Result<(), SendError> {
        match self {
            Self::XApic(apic) => apic.send_self(vector),
            Self::X2Apic(apic) => apic.send_self(vector),
        }
    }
}
