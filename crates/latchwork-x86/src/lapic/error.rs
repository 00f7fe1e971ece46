// SPDX-License-Identifier: MIT OR Apache-2.0
//! Errors that a local APIC found (SDM Vol. 3A, "Error Handling").

use core::fmt;

use super::registers::Register;
use super::{Access, Lapic};

impl<A: Access> Lapic<A> {
    /// The errors since the last call on this CPU. `kept` belongs to this CPU, and is
    /// [`KeptErrors::NONE`] before its first call.
    ///
    /// A write to the error status register latches the errors since the write before, and clears
    /// older ones. QEMU's register differs: it keeps every error until the APIC is reset. So this
    /// function latches twice. An error that the second reading still shows is one that the
    /// register keeps, or one that has come again in between. The function reports such an error
    /// once, and again only after a reading without it. So where a register keeps its errors, it
    /// reports an error that comes twice only once.
    ///
    /// NMI-safe, but a call that interrupts another one on the same CPU takes errors that the other
    /// one would have reported. The function makes two writes and two reads, and arms the interrupt
    /// of [`Lvt::Error`] again.
    ///
    /// [`Lvt::Error`]: super::lvt::Lvt::Error
    #[must_use]
    pub fn take_errors(&self, kept: &mut KeptErrors) -> ErrorStatus {
        let first = self.latch_errors();
        let second = self.latch_errors();
        let in_both = first & second;
        let news = (first ^ second) | (in_both & !kept.0);
        kept.0 = in_both;
        ErrorStatus(news)
    }

    fn latch_errors(&self) -> u32 {
        self.access.write(Register::ErrorStatus, 0);
        self.access.read(Register::ErrorStatus)
    }
}

/// Errors that the register of one local APIC still showed after [`Lapic::take_errors`] had
/// reported them. The kernel keeps one such value for each CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptErrors(u32);

impl KeptErrors {
    /// No errors, as after a reset of the APIC. Real APICs never keep any.
    pub const NONE: Self = Self(0);

    /// The errors that [`bits`](Self::bits) returned.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The errors as bits, for a kernel that keeps them in an atomic.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// What went wrong, one bit each (SDM Vol. 3A, "Error Status Register (ESR)").
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ErrorStatus(u32);

impl ErrorStatus {
    const NAMES: [&'static str; 8] = [
        "send checksum",
        "receive checksum",
        "send accept",
        "receive accept",
        "redirectable IPI",
        "send illegal vector",
        "receive illegal vector",
        "illegal register address",
    ];

    /// The bits, as the register has them.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// No error.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Sent a message with a vector below 16 (bit 5).
    #[must_use]
    pub const fn sent_illegal_vector(self) -> bool {
        self.0 & (1 << 5) != 0
    }

    /// Received a message with a vector below 16, its own included (bit 6).
    #[must_use]
    pub const fn received_illegal_vector(self) -> bool {
        self.0 & (1 << 6) != 0
    }
}

impl fmt::Debug for ErrorStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ErrorStatus({:#x}", self.0)?;
        for (bit, name) in Self::NAMES.iter().enumerate() {
            if self.0 & (1 << bit) != 0 {
                write!(formatter, ", {name}")?;
            }
        }
        formatter.write_str(")")
    }
}
