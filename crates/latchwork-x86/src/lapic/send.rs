// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sending IPIs, from any context, an NMI included.

use core::fmt;
use core::hint;
use core::sync::atomic::{Ordering, compiler_fence};

use super::access::sealed::Registers;
use super::registers::Register;
use super::{Access, Lapic};
use crate::Vector;
use crate::icr::{Ipi, NotAddressable};

/// How often a send reads the delivery status before it gives up. A read takes some 100 ns, a
/// delivery a few microseconds.
pub const IDLE_POLL_LIMIT: u32 = 100_000;

const DELIVERY_PENDING: u32 = 1 << 12;

impl<A: Access> Lapic<A> {
    /// Sends `ipi`. Stores before the call are visible to the receivers when they take it.
    ///
    /// Safe in every context, also in an NMI that interrupted another send on this CPU, by this
    /// driver or by another.
    ///
    /// # Errors
    ///
    ///  - [`SendError::NotAddressable`]: the APIC ID does not fit into xAPIC mode. Nothing was
    ///    sent.
    ///  - [`SendError::Busy`]: an earlier IPI of this CPU is still under way after
    ///    [`IDLE_POLL_LIMIT`] reads of the delivery status. Nothing was sent.
    ///  - [`SendError::StillPending`]: this IPI was sent, and is still under way after
    ///    [`IDLE_POLL_LIMIT`] reads.
    ///
    /// In x2APIC mode there is no delivery status and every ID can be addressed, so a send always
    /// succeeds.
    #[inline]
    pub fn send(&self, ipi: &Ipi) -> Result<(), SendError> {
        self.access.send(ipi)
    }

    /// Sends the maskable interrupt `vector` to this CPU: by the Self shorthand, in x2APIC mode by
    /// the SELF_IPI register.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[inline]
    pub fn send_self(&self, vector: Vector) -> Result<(), SendError> {
        self.access.send_self(vector)
    }
}

/// Why an IPI was not delivered, or may not have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The APIC ID cannot be addressed in xAPIC mode. Nothing was sent.
    NotAddressable(NotAddressable),
    /// The APIC did not become idle, so nothing was sent.
    Busy,
    /// The IPI was sent, but the APIC has not delivered it yet.
    StillPending,
}

impl fmt::Display for SendError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAddressable(error) => error.fmt(formatter),
            Self::Busy => {
                formatter.write_str("local APIC stays busy with an earlier IPI; nothing was sent")
            }
            Self::StillPending => {
                formatter.write_str("IPI was sent but is still pending in the local APIC")
            }
        }
    }
}

impl core::error::Error for SendError {}

impl From<NotAddressable> for SendError {
    fn from(error: NotAddressable) -> Self {
        Self::NotAddressable(error)
    }
}

/// Sends in xAPIC mode, where the ICR is two registers and the write of the lower one sends.
///
/// An NMI may hit any code that sends, between any two of its accesses, and send itself. The
/// interrupted code goes on as if nothing had happened, because this function leaves the ICR as it
/// found it in the two respects that matter:
///
///  - This function puts the *upper half* back, so that a lower half written next goes to the
///    destination that the interrupted code chose.
///  - The *delivery status* is idle again, so that the interrupted code may write at once if it has
///    already waited for that.
///
/// A shorthand ignores the upper half, so only the waits remain.
///
/// No fence is needed before the write that sends: it goes to uncacheable memory, and x86 makes the
/// stores of one CPU visible in program order, uncacheable ones after all earlier ones (SDM Vol.
/// 3A, "Memory Ordering in P6 and More Recent Processor Families" and "Strong Uncacheable"). The
/// exceptions are non-temporal stores, which the code that uses them must order. The compiler fence
/// keeps the compiler from moving other accesses, which volatile accesses alone do not order.
pub(super) fn send_by_two_halves(apic: &impl Registers, ipi: &Ipi) -> Result<(), SendError> {
    let icr = ipi.to_xapic()?;
    compiler_fence(Ordering::SeqCst);
    if !becomes_idle(apic) {
        return Err(SendError::Busy);
    }
    let idle = match icr.high {
        None => {
            apic.write(Register::IcrLow, icr.low);
            becomes_idle(apic)
        }
        Some(high) => {
            let interrupted_high = apic.read(Register::IcrHigh);
            apic.write(Register::IcrHigh, high);
            apic.write(Register::IcrLow, icr.low);
            let idle = becomes_idle(apic);
            apic.write(Register::IcrHigh, interrupted_high);
            idle
        }
    };
    if idle { Ok(()) } else { Err(SendError::StillPending) }
}

fn becomes_idle(apic: &impl Registers) -> bool {
    for _ in 0..IDLE_POLL_LIMIT {
        if apic.read(Register::IcrLow) & DELIVERY_PENDING == 0 {
            return true;
        }
        hint::spin_loop();
    }
    false
}
