// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pages that the kernel maps and unmaps while it runs: where it maps them, and how every CPU drops
//! an unmapped one.

pub(crate) mod probe;
pub(crate) mod shootdown;
pub(crate) mod window;

/// Bytes in a page.
pub(crate) const PAGE_BYTES: usize = 4096;

/// Drops this CPU's TLB entry for the page of `address`, so that its next access walks the page
/// tables. NMI-safe.
#[inline(always)]
pub(crate) fn forget(address: usize) {
    x86_64::instructions::tlb::flush(x86_64::VirtAddr::new_truncate(address as u64));
}
