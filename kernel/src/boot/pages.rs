// SPDX-License-Identifier: MIT OR Apache-2.0
//! Taking pages out of the identity map.

use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::VirtAddr;
use x86_64::instructions::tlb;

use super::entry;

const PAGE_SHIFT: usize = 12;
const PRESENT: u64 = 1;

/// Unmaps the 4 KiB page of `address`, which lies in the first 8 MiB. Other CPUs must not have used
/// the page yet.
pub(crate) fn unmap(address: usize) {
    // SAFETY: the table is a static of the start-up code, of this length, and only changed by
    // atomic accesses.
    let entries: &[AtomicU64] = unsafe { &entry::latchwork_small_pages };
    entries[address >> PAGE_SHIFT].fetch_and(!PRESENT, Ordering::Relaxed);
    tlb::flush(VirtAddr::new(address as u64));
}
