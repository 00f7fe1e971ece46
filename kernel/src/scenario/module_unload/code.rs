// SPDX-License-Identifier: MIT OR Apache-2.0
//! The module's machine code, which is position independent. The loader copies it to a page of its
//! own for each module.
//!
//! It calls nothing in the kernel, and finds what it needs in the module's data page. At each turn
//! and once more before its end, it drops both pages from this CPU's TLB, so that its next access
//! walks the page tables. If CPU 0 has changed these, the code faults there, and need not wait for
//! a shootdown that cannot interrupt an NMI.

use core::arch::global_asm;
use core::mem::offset_of;

use super::module::Module;

/// The code, as a function: it takes its data, and how many turns it waits for a removal to begin.
pub(super) type Code = unsafe extern "sysv64" fn(&Module, u64);

/// Turns it goes on after that.
const TURNS_AFTER: u32 = 40;

unsafe extern "C" {
    safe static latchwork_module_start: u8;
    safe static latchwork_module_end: u8;
}

global_asm!(
    ".section .text.latchwork_module, \"ax\"",
    ".global latchwork_module_start",
    ".global latchwork_module_end",
    "latchwork_module_start:",
    "    lock inc qword ptr [rdi + {begun}]",
    "    lea rax, [rip + latchwork_module_start]",
    "    mov rdx, [rdi + {removals}]",
    "    mov r8, [rdx]",
    // Stuck for as long as the data say so.
    "2:  invlpg [rax]",
    "    invlpg [rdi]",
    "    cmp qword ptr [rdi + {stuck}], 0",
    "    je 3f",
    "    pause",
    "    jmp 2b",
    // Until a removal begins, RSI turns at most.
    "3:  test rsi, rsi",
    "    jz 5f",
    "    dec rsi",
    "    pause",
    "    invlpg [rax]",
    "    cmp r8, [rdx]",
    "    je 3b",
    // For a while after that.
    "    mov ecx, {turns_after}",
    "4:  pause",
    "    invlpg [rax]",
    "    dec ecx",
    "    jnz 4b",
    "5:  invlpg [rdi]",
    "    invlpg [rax]",
    "    lock inc qword ptr [rdi + {finished}]",
    "    ret",
    "latchwork_module_end:",
    ".text",
    begun = const offset_of!(Module, begun),
    finished = const offset_of!(Module, finished),
    stuck = const offset_of!(Module, stuck),
    removals = const offset_of!(Module, removals),
    turns_after = const TURNS_AFTER,
);

/// Where the code lies in the kernel's image, and its length in bytes.
pub(super) fn image() -> (*const u8, usize) {
    let start = &raw const latchwork_module_start;
    (start, (&raw const latchwork_module_end).addr() - start.addr())
}
