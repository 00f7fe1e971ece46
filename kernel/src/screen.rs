// SPDX-License-Identifier: MIT OR Apache-2.0
//! The console's copy on a text screen, for machines without a serial port.

use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::boot::multiboot2::TextScreen;

/// Light grey on black, in the upper byte of a cell.
const ATTRIBUTE: u16 = 0x07 << 8;
const BLANK: u16 = ATTRIBUTE | b' ' as u16;

const CELL_BYTES: usize = 2;

/// The largest screen that this kernel uses; it ignores a larger one as nonsense.
const MOST_COLUMNS: u32 = 160;
const MOST_ROWS: u32 = 100;

/// Where the screen is; 0 while there is none. The shape below is written before it.
///
/// The boot CPU writes all of them before others start, and a CPU that writes to the console reads
/// them. Relaxed is enough.
static ADDRESS: AtomicUsize = AtomicUsize::new(0);
static COLUMNS: AtomicU32 = AtomicU32::new(0);
static ROWS: AtomicU32 = AtomicU32::new(0);

/// The column of the next letter, in the last row. The CPU that has the console writes it; see
/// [`put`].
static COLUMN: AtomicU32 = AtomicU32::new(0);

/// Clears the screen, and makes [`put`] write to it from now on. It ignores a screen of an
/// impossible shape.
///
/// # Safety
///
/// The screen is there, below 4 GiB, and nobody else writes to it. Boot CPU, before others start.
pub(crate) unsafe fn mirror_to(screen: &TextScreen) {
    let rows_touch = screen.pitch_bytes as usize == screen.columns as usize * CELL_BYTES;
    let shape_can_be = (1..=MOST_COLUMNS).contains(&screen.columns)
        && (1..=MOST_ROWS).contains(&screen.rows)
        && screen.address != 0
        && screen.address < 1 << 20;
    if !rows_touch || !shape_can_be {
        return;
    }
    COLUMNS.store(screen.columns, Ordering::Relaxed);
    ROWS.store(screen.rows, Ordering::Relaxed);
    ADDRESS.store(screen.address as usize, Ordering::Relaxed);
    for _ in 0..screen.rows {
        put(b'\n');
    }
}

/// Writes one byte at the end of the last row, and scrolls at the end of a row. It writes a
/// question mark for a byte that is not ASCII. The caller has the console's lock, or writes the
/// last words. Any context.
pub(crate) fn put(byte: u8) {
    let address = ADDRESS.load(Ordering::Relaxed);
    if address == 0 {
        return;
    }
    let columns = COLUMNS.load(Ordering::Relaxed);
    let last_row = ROWS.load(Ordering::Relaxed).saturating_sub(1);
    let column = COLUMN.load(Ordering::Relaxed);
    if byte == b'\n' || column >= columns {
        scroll(columns as usize, last_row as usize);
        COLUMN.store(0, Ordering::Relaxed);
    }
    if byte == b'\n' {
        return;
    }
    let letter = if matches!(byte, b' '..=b'~') { byte } else { b'?' };
    let column = COLUMN.load(Ordering::Relaxed);
    write(last_row as usize * columns as usize + column as usize, ATTRIBUTE | u16::from(letter));
    COLUMN.store(column.saturating_add(1), Ordering::Relaxed);
}

fn scroll(columns: usize, last_row: usize) {
    let cells = columns * last_row;
    for cell in 0..cells {
        write(cell, read(cell + columns));
    }
    for cell in cells..cells + columns {
        write(cell, BLANK);
    }
}

fn cell_at(cell: usize) -> *mut u16 {
    ptr::with_exposed_provenance_mut(ADDRESS.load(Ordering::Relaxed) + cell * CELL_BYTES)
}

fn read(cell: usize) -> u16 {
    // SAFETY: the cell is on the screen, which `mirror_to`'s caller vouches for.
    unsafe { cell_at(cell).read_volatile() }
}

fn write(cell: usize, value: u16) {
    // SAFETY: as in `read`.
    unsafe { cell_at(cell).write_volatile(value) };
}
