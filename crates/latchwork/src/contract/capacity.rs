// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many CPUs and handlers the library has room for.

/// The most CPUs that one [`Nmi`](crate::Nmi) serves: 4096 on 64-bit targets, 64 on 32-bit ones,
/// where the request counters are narrower.
pub const MAX_CPUS: usize = if usize::BITS >= 64 { 4096 } else { 64 };

/// How many handlers a class can hold at the same time: 15 on 64-bit targets, 7 on 32-bit ones.
#[cfg(not(all(test, loom)))]
pub const HANDLERS_PER_CLASS: usize = usize::BITS as usize / 4 - 1;
/// Few slots make loom meet slot reuse early.
#[cfg(all(test, loom))]
pub const HANDLERS_PER_CLASS: usize = 2;
