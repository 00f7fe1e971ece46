// SPDX-License-Identifier: MIT OR Apache-2.0
//! A read that may fault.

use core::arch::global_asm;

use crate::trap::stubs::TrapFrame;

unsafe extern "C" {
    /// Reads the byte at `address` with its first instruction. Returns 1 if that did not fault,
    /// else 0.
    fn latchwork_probe(address: usize) -> u64;
    /// Where the second outcome begins. Rust code must not call it.
    fn latchwork_probe_faulted();
}

global_asm!(
    ".text",
    ".global latchwork_probe",
    ".global latchwork_probe_faulted",
    "latchwork_probe:",
    "    movzx eax, byte ptr [rdi]",
    "    mov eax, 1",
    "    ret",
    "latchwork_probe_faulted:",
    "    xor eax, eax",
    "    ret",
);

/// Whether this CPU can read the byte at `address`, which is ordinary memory or nothing. Threads
/// and maskable interrupts; not in an NMI, since the page fault's IRET would let the next NMI in.
pub(crate) fn can_read(address: usize) -> bool {
    // SAFETY: the read is of one byte of ordinary memory and has no effect; if it faults, `resume`
    // goes on behind it.
    unsafe { latchwork_probe(address) != 0 }
}

/// If the page fault is that of [`can_read`], makes it go on behind the read. Returns whether it
/// is.
pub(crate) fn resume(frame: &mut TrapFrame) -> bool {
    let is_probe = frame.rip == latchwork_probe as *const () as u64;
    if is_probe {
        frame.rip = latchwork_probe_faulted as *const () as u64;
    }
    is_probe
}
