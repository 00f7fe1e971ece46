// SPDX-License-Identifier: MIT OR Apache-2.0
//! Device registers in the identity map.

use core::ptr::NonNull;

use latchwork_x86::hw::MmioWindow;

/// Where the identity map is uncached: from 3 GiB up to its end.
pub(crate) const UNCACHED: core::ops::Range<u64> = 0xc000_0000..0x1_0000_0000;

/// The registers at physical address `address`, on every CPU and for ever. Panics where the map is
/// not uncached.
pub(crate) fn registers(address: u64) -> MmioWindow {
    assert!(
        UNCACHED.contains(&address),
        "device registers at {address:#x} are not mapped uncached"
    );
    let registers = core::ptr::with_exposed_provenance_mut::<u32>(address as usize);
    let registers = NonNull::new(registers).unwrap_or(NonNull::dangling());
    // SAFETY: the identity map has the address, uncached, on every CPU and for ever; whether a
    // device's registers are there is what the drivers ask for.
    unsafe { MmioWindow::new(registers) }
}
