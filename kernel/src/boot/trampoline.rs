// SPDX-License-Identifier: MIT OR Apache-2.0
//! The start-up code of every CPU but the first: from real mode to Rust in long mode.
//!
//! A start-up IPI names a 4 KiB page below 1 MiB, where the CPU begins in real mode. The boot CPU
//! copies the code to [`TRAMPOLINE_PAGE`]. The code goes from real mode straight to long mode on
//! the boot CPU's page tables, and leaves the low page at once. The boot CPU starts one CPU at a
//! time, so one hand-over place is enough.

use core::arch::global_asm;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The page number that the start-up IPI names, and to which [`install`] copies the code.
pub(crate) const TRAMPOLINE_PAGE: u8 = 8;

unsafe extern "C" {
    static latchwork_trampoline_start: u8;
    static latchwork_trampoline_end: u8;
}

/// Where the starting CPU finds its stack.
static START_STACK_TOP: AtomicUsize = AtomicUsize::new(0);
/// Where the starting CPU finds its number.
static START_CPU: AtomicUsize = AtomicUsize::new(0);

/// Copies the start-up code to its low page.
///
/// # Safety
///
/// The trampoline's page is ordinary memory that nobody uses.
pub(crate) unsafe fn install() {
    let start = &raw const latchwork_trampoline_start;
    let len = (&raw const latchwork_trampoline_end).addr() - start.addr();
    let page = core::ptr::with_exposed_provenance_mut::<u8>(usize::from(TRAMPOLINE_PAGE) * 4096);
    assert!(len <= 4096);
    // SAFETY: the source is the start-up code of `len` bytes; the caller vouches for the
    // destination page.
    unsafe { page.copy_from_nonoverlapping(start, len) };
}

/// Says which CPU starts next, and on which stack.
pub(crate) fn prepare(cpu: usize, stack_top: usize) {
    START_CPU.store(cpu, Ordering::Relaxed);
    START_STACK_TOP.store(stack_top, Ordering::Release);
}

global_asm!(
    ".section .text.boot, \"ax\"",
    ".code16",
    ".global latchwork_trampoline_start",
    ".global latchwork_trampoline_end",
    "latchwork_trampoline_start:",
    "    cli",
    "    cld",
    "    xorw %ax, %ax",
    "    movw %ax, %ds",
    "    lgdtl (latchwork_trampoline_gdtr - latchwork_trampoline_start + {base})",
    "    movl $0x620, %eax", // PAE, OSFXSR, OSXMMEXCPT
    "    movl %eax, %cr4",
    "    movl $latchwork_pml4, %eax",
    "    movl %eax, %cr3",
    "    movl $0xc0000080, %ecx", // EFER
    "    rdmsr",
    "    orl $0x100, %eax", // LME
    "    wrmsr",
    "    movl %cr0, %eax",
    "    andl $0x9ffffff3, %eax", // clear CD, NW, TS, EM
    "    orl $0x80010023, %eax",  // PG, WP, NE, MP, PE
    "    movl %eax, %cr0",
    "    ljmpl $8, $latchwork_ap_long_mode",
    ".balign 4",
    "latchwork_trampoline_gdtr:",
    "    .word 23",
    "    .long latchwork_boot_gdt",
    "latchwork_trampoline_end:",

    ".code64",
    "latchwork_ap_long_mode:",
    "    movq {stack_top}(%rip), %rsp",
    "    call latchwork_early_segments",
    "    movq {cpu}(%rip), %rdi",
    "    xorl %ebp, %ebp",
    "    call {ap_main}",
    "    ud2",
    ".text",
    base = const TRAMPOLINE_PAGE as usize * 4096,
    stack_top = sym START_STACK_TOP,
    cpu = sym START_CPU,
    ap_main = sym super::start::ap_main,
    options(att_syntax),
);
