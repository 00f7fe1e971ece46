// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a driver provides: its handler.

use super::{claim::Claim, context::NmiContext};

/// A driver's NMI handler. Dispatch asks it, when its [`Class`](crate::Class) says so, whether its
/// condition holds.
///
/// # Safety
///
/// [`handle`](Self::handle) runs in NMI context. The implementor promises that it
///
/// 1. takes no lock that code outside NMI context takes, allocates nothing, never blocks and does
///    not unwind: the NMI may have interrupted the lock's holder, the allocator, or the handler
///    itself;
/// 2. treats interrupts-off sections as **no** protection: an NMI arrives inside them, so the
///    handler must not touch data that such a section hands out as `&mut`;
/// 3. can run on several CPUs at the same time, and nested on one CPU if something in it re-opens
///    NMIs;
/// 4. does not park the CPU or enter a debugger: it asks for that by
///    [`NmiContext::ask_after_leave`] and lets the [`Platform`](crate::Platform) do it;
/// 5. touches no memory that may fault, and executes no instruction that ends in `IRET`, unless the
///    entry code of the kernel is nested-safe;
/// 6. consumes its condition when it returns [`Claim::Handled`], and only then returns it.
pub unsafe trait NmiHandler: Sync {
    /// Looks at the condition and consumes it if it holds.
    ///
    /// Runs in NMI context, inside the read side: no removal of this handler returns before this
    /// call does.
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim;
}
