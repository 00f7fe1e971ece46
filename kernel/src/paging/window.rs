// SPDX-License-Identifier: MIT OR Apache-2.0
//! A window of the address space above the identity map, in which the kernel maps and unmaps single
//! pages.
//!
//! It begins at 512 GiB: entry 1 of the top table, which the start-up code leaves empty, leads to
//! tables of its own (SDM Vol. 3A, "4-Level Paging and 5-Level Paging"). All CPUs use the same top
//! table, so a mapped page is mapped for all of them. A CPU caches no entry that was not present,
//! so mapping takes a store and no more. Unmapping takes a [`super::shootdown`] as well.

use core::sync::atomic::{AtomicU64, Ordering};

use super::PAGE_BYTES;

const ENTRIES: usize = 512;
const LAST_LEVEL_TABLES: usize = 8;

/// Pages in the window, numbered from 0.
pub(crate) const PAGES: usize = LAST_LEVEL_TABLES * ENTRIES;

const TOP_ENTRY: usize = 1;
const START: usize = TOP_ENTRY << 39;

const PRESENT_WRITABLE: u64 = 0b11;

/// Writer: the boot CPU. Readers: the page walks of all CPUs, which also set the accessed and dirty
/// bits.
#[repr(C, align(4096))]
struct Table([AtomicU64; ENTRIES]);

impl Table {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; ENTRIES])
    }

    fn point_at(&self, entry: usize, table: &'static Self) {
        let address = (&raw const *table).expose_provenance() as u64;
        self.0[entry].store(address | PRESENT_WRITABLE, Ordering::Release);
    }
}

unsafe extern "C" {
    /// The top table of all CPUs (`boot/entry.rs`).
    safe static latchwork_pml4: Table;
}

static DIRECTORIES: Table = Table::new();
static DIRECTORY: Table = Table::new();
static LAST_LEVEL: [Table; LAST_LEVEL_TABLES] = [const { Table::new() }; LAST_LEVEL_TABLES];

/// Puts the window's tables in place. Boot CPU, before the first [`map`].
pub(crate) fn open() {
    for (entry, table) in LAST_LEVEL.iter().enumerate() {
        DIRECTORY.point_at(entry, table);
    }
    DIRECTORIES.point_at(0, &DIRECTORY);
    latchwork_pml4.point_at(TOP_ENTRY, &DIRECTORIES);
}

/// The last-level entry of a page of the window. NMI-safe.
fn entry(page: usize) -> Option<&'static AtomicU64> {
    LAST_LEVEL.get(page / ENTRIES)?.0.get(page % ENTRIES)
}

/// The address of a page.
pub(crate) const fn address_of(page: usize) -> usize {
    START + page * PAGE_BYTES
}

/// The page in which `address` lies, if it lies in the window. NMI-safe.
pub(crate) const fn page_of(address: usize) -> Option<usize> {
    let page = address.wrapping_sub(START) / PAGE_BYTES;
    if page < PAGES { Some(page) } else { None }
}

/// Maps a page that is not mapped onto the frame at physical address `frame`: it can be read,
/// written and executed.
pub(crate) fn map(page: usize, frame: usize) {
    // Release: a CPU that uses the new mapping finds what was written to the frame before.
    let before =
        entry(page).map(|entry| entry.swap(frame as u64 | PRESENT_WRITABLE, Ordering::Release));
    assert!(before == Some(0), "page {page} of the window is in use, or there is none");
}

/// Unmaps a page, if it is mapped. A CPU may have cached the mapping until the
/// [`super::shootdown`]; on a CPU that has not, the next access is a page fault. NMI-safe.
pub(crate) fn unmap(page: usize) {
    if let Some(entry) = entry(page) {
        entry.store(0, Ordering::Release);
    }
}
