// SPDX-License-Identifier: MIT OR Apache-2.0
//! Port 61H: what the chipset says about an NMI that nothing else explains, and how to mask and
//! clear its two sources (82371AB PIIX4 datasheet, 4.2.4 and 4.2.4.1, "NMISC"; later chipsets have
//! the same as "NMI_SC").
//!
//! | bit | | |
//! |---|---|---|
//! | 7 | status of SERR# | read only; written as 0 |
//! | 6 | status of IOCHK# | read only; written as 0 |
//! | 5, 4 | output of timer 2; toggles with each refresh | read only; written as 0 |
//! | 3 | IOCHK#: 1 clears its status and masks it, 0 unmasks it | read and written |
//! | 2 | SERR#: 1 clears its status and masks it, 0 unmasks it | read and written |
//! | 1, 0 | speaker; gate of timer 2 | read and written |
//!
//! The port has no register of its own for each bit, so every change reads it and writes it back.
//! These are two steps. If an NMI handler, or another CPU, changes the port between a thread's read
//! and write, that thread's write undoes the change. At worst a source stays unmasked, or masked,
//! or the speaker's bits go back. Each function returns what it reads last, so that its caller can
//! see that.
//!
//! The chipset has one NMI line for both sources, and the CPU takes its rising edge (datasheet,
//! 4.2.4): a source that becomes active while the other one is gives no NMI of its own. So after
//! you have cleared one, look at the status that comes back, and clear what has been set meanwhile
//! too.

#![deny(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod status;

use core::fmt;

pub use status::{NmiStatus, Sources};

use crate::hw::Port;

const PORT: u16 = 0x61;

const WRITABLE: u8 = 0b1111;

/// Reads the port, once. NMI-safe.
///
/// # Safety
///
/// The port is the chipset's NMI status port, or nothing answers at it. No PC has anything else
/// there.
pub unsafe fn read(port: &impl Port) -> NmiStatus {
    // SAFETY: the contract of this function; the read clears nothing.
    NmiStatus(unsafe { port.read_u8(PORT) })
}

/// Keeps `sources` from raising NMIs and clears their status, until [`unmask`]. Returns what the
/// port reads then. NMI-safe: two reads and a write, no wait.
///
/// # Safety
///
/// As [`read`]. The kernel does not need the NMIs of `sources`, or will unmask them.
pub unsafe fn mask(port: &impl Port, sources: Sources) -> NmiStatus {
    // SAFETY: the contract of this function.
    unsafe { update(port, |bits| bits | sources.mask_bits()) }
}

/// Lets `sources` raise NMIs, and returns what the port reads then. NMI-safe: two reads and a
/// write.
///
/// A source that is active sets its status again immediately. If the NMI line was not active, that
/// raises an NMI; look at the returned status all the same.
///
/// # Safety
///
/// As [`read`], and vector 2 has its gate.
pub unsafe fn unmask(port: &impl Port, sources: Sources) -> NmiStatus {
    // SAFETY: the contract of this function.
    unsafe { update(port, |bits| bits & !sources.mask_bits()) }
}

/// Clears the status of `sources` by masking them for a moment, and returns what the port reads
/// then. A source that was masked before stays masked. NMI-safe: three reads and two writes.
///
/// A source that is still active sets its status again, which the returned status shows. Clearing
/// such a source over and over has no end: mask it instead.
///
/// # Safety
///
/// As [`read`].
pub unsafe fn clear(port: &impl Port, sources: Sources) -> NmiStatus {
    // SAFETY: the contract of this function.
    let before = unsafe { read(port) };
    // SAFETY: as above.
    let masked = unsafe { mask(port, sources) };
    let unmasked = before.unmasked(sources);
    // SAFETY: as above; these sources were unmasked before, so vector 2 has its gate.
    if unmasked.is_empty() { masked } else { unsafe { unmask(port, unmasked) } }
}

/// Masks the sources whose status is set: what a kernel can do here about NMIs that come without
/// end and that no handler claims. NMI-safe.
///
/// # Safety
///
/// As [`mask`].
pub unsafe fn mask_active(port: &impl Port) -> Masking {
    // SAFETY: the contract of this function.
    let status = unsafe { read(port) };
    let active = status.active();
    if active.is_empty() {
        return Masking::NoneActive(status);
    }
    // SAFETY: the contract of this function.
    let after = unsafe { mask(port, active) };
    let left = after.unmasked(active);
    if left.is_empty() { Masking::Masked(active) } else { Masking::Refused(left) }
}

/// Changes the bits that can be written; does nothing where nothing answers.
///
/// # Safety
///
/// As [`read`], and the change is the caller's to make.
unsafe fn update(port: &impl Port, change: impl FnOnce(u8) -> u8) -> NmiStatus {
    // SAFETY: the contract of this function.
    let before = unsafe { read(port) };
    if before.is_absent() {
        return before;
    }
    let bits = change(before.0 & WRITABLE);
    // SAFETY: the status bits and the others that only read are written as 0, as the datasheet
    // asks; the speaker's bits are written as they were.
    unsafe { port.write_u8(PORT, bits) };
    // SAFETY: the contract of this function.
    unsafe { read(port) }
}

/// What came of [`mask_active`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masking {
    /// The port names no source, so NMIs that still come have another one. Nothing was written.
    NoneActive(NmiStatus),
    /// These sources were active, and are masked now.
    Masked(Sources),
    /// These sources were active, and the port reads as if they still were let through: the chipset
    /// does not take the mask, or other code has changed the port at the same time. In the second
    /// case call again.
    Refused(Sources),
}

impl fmt::Display for Masking {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoneActive(status) => write!(formatter, "nothing masked at port 0x61: {status}"),
            Self::Masked(sources) => write!(formatter, "masked at port 0x61: {sources}"),
            Self::Refused(sources) => {
                write!(formatter, "port 0x61 does not take the mask of {sources}")
            }
        }
    }
}
