// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers that go into the vector field of an ICR, LVT or SVR.

/// A vector that a local APIC delivers: 16 to 255.
///
/// Vectors 0 to 15 are illegal for fixed delivery: the APIC drops such a message and sets an error
/// status bit (SDM Vol. 3A, "Valid Interrupt Vectors"). So they cannot be represented.
///
/// ```
/// # use latchwork_x86::Vector;
/// const WORK: Vector = Vector::of::<0xF0>();
/// assert_eq!(Vector::new(0x20).map(Vector::get), Some(0x20));
/// assert_eq!(Vector::new(2), None);
/// ```
///
/// ```compile_fail
/// # use latchwork_x86::Vector;
/// const TOO_LOW: Vector = Vector::of::<2>();
/// ```
///
/// ```compile_fail,E0423
/// # use latchwork_x86::Vector;
/// let too_low = Vector(2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vector(u8);

impl Vector {
    /// The lowest vector that can be delivered.
    pub const MIN: Self = Self(16);
    /// The highest vector.
    pub const MAX: Self = Self(255);

    /// The vector `number`, or `None` if it is below 16.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < Self::MIN.0 { None } else { Some(Self(number)) }
    }

    /// The vector `NUMBER`, checked at compile time.
    #[must_use]
    pub const fn of<const NUMBER: u8>() -> Self {
        const { assert!(NUMBER >= Self::MIN.0, "a vector below 16 is never delivered") }
        Self(NUMBER)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// The number by which a sender of an NMI makes itself known to a CPU with FRED's NMI-source
/// reporting: 1, or 3 to 15.
///
/// It travels in the vector field, which older CPUs ignore for NMIs (SDM Vol. 3A, "Interrupt
/// Command Register"). Number 0 means *unknown source*, and 2 is what chipsets send that write the
/// vector of the NMI there; so neither names a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NmiSource(u8);

impl NmiSource {
    /// The source `number`, or `None` if it cannot name a sender.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        match number {
            1 | 3..=15 => Some(Self(number)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    pub(crate) const fn field(source: Option<Self>) -> u8 {
        match source {
            Some(source) => source.0,
            None => 0,
        }
    }
}
