// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages that come and go: where they are mapped, and how every CPU learns that one is gone.

pub(crate) mod probe;
pub(crate) mod shootdown;
pub(crate) mod window;

/// Bytes in a page.
pub(crate) const PAGE_BYTES: usize = 4096;

/// Makes this CPU forget where the page of `address` was mapped, so that its next access asks the
/// page tables. NMI-safe.
#[inline(always)]
pub(crate) fn forget(address: usize) {
    x86_64::instructions::tlb::flush(x86_64::VirtAddr::new_truncate(address as u64));
}
