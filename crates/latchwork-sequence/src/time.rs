// SPDX-License-Identifier: MIT OR Apache-2.0
//! The library's limits for sequences, and how long they let time pass.
//!
//! Each machine takes a different time to execute instructions. So the time of steps without a
//! wait, some hundred microseconds under QEMU's instruction clock, is far from every limit, and so
//! is each wait.

/// How long after the claim of its condition a ring may come, for all doorbells; and the age at
/// which a tick pays a debt.
pub const LATE_US: u32 = 2_000;

/// The other limits: how long grants live at most, and the age at which an NMI pays a debt.
pub const CAP_US: u32 = 60_000;

/// A wait that is much longer than [`LATE_US`], and so short that several together are much shorter
/// than [`CAP_US`].
pub const PAUSE_US: u32 = 4_000;

/// How many of them a sequence has at most.
pub const MAX_PAUSES: usize = 6;

/// A wait that outlives every grant: [`LATE_US`] after a claim, its deadline, and then [`CAP_US`].
pub const LONG_US: u32 = 80_000;

const _: () = assert!(PAUSE_US >= 2 * LATE_US);
const _: () = assert!((MAX_PAUSES as u32 + 2) * PAUSE_US * 3 / 2 < CAP_US);
const _: () = assert!(LONG_US >= CAP_US + 2 * LATE_US);
