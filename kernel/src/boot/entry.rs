// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two entries, PVH and Multiboot2: from 32-bit protected mode without paging to Rust in long
//! mode.
//!
//! Both protocols leave the machine alike (flat segments, paging and interrupts off) and the
//! address of their information in EBX. Multiboot2 finds its header in the first 32 KiB of the
//! file, and in it the address of its own entry.
//!
//! What holds when Rust starts, on the boot CPU here and on every other CPU in
//! [`super::trampoline`]:
//!
//! - Long mode, the low 4 GiB mapped onto themselves. The first 8 MiB have 4 KiB pages, so that
//!   single pages can be taken out as guards; the rest has 2 MiB pages. From 3 GiB up, where the
//!   APICs are, pages are uncached.
//! - CR4.OSFXSR and CR0 allow SSE: the prebuilt `core` of a hosted target uses it everywhere.
//! - Data segments hold a real data selector. SS must, or the first IRETQ would fault.
//! - GS points at the *early area*, whose CPU number says "none yet".

use core::arch::global_asm;

use super::loader;

unsafe extern "C" {
    /// The PVH entry point. Rust code must not call it.
    fn latchwork_pvh_start() -> !;
}

pvh::xen_elfnote_phys32_entry!(latchwork_pvh_start);

/// Page tables that map the first 8 MiB in pages of 4 KiB: 4 tables of 512 entries.
pub(crate) const SMALL_PAGES: usize = 4 * 512;

unsafe extern "C" {
    /// The 4 KiB page-table entries of the first 8 MiB, in order.
    pub(crate) static latchwork_small_pages: [core::sync::atomic::AtomicU64; SMALL_PAGES];
}

/// The magic number of a Multiboot2 header (Multiboot2 Specification 2.0, section 3.1.2).
const HEADER_MAGIC: u32 = 0xe852_50d6;
/// The value of the header's architecture field for 32-bit protected mode of an i386.
const HEADER_I386: u32 = 0;
/// The header's length: its head, an entry address tag, a console flags tag and an end tag.
const HEADER_BYTES: u32 = 16 + 16 + 16 + 8;
const HEADER_CHECKSUM: u32 =
    0_u32.wrapping_sub(HEADER_MAGIC).wrapping_sub(HEADER_I386).wrapping_sub(HEADER_BYTES);

global_asm!(
    ".section .multiboot2, \"a\"",
    ".balign 8",
    "    .long {header_magic}, {header_i386}, {header_bytes}, {header_checksum}",
    "    .word 3, 0", // where to enter (section 3.1.8)
    "    .long 12, latchwork_multiboot2_start",
    ".balign 8",
    "    .word 4, 1", // a text console can be used, and none is needed (section 3.1.9)
    "    .long 12, 2",
    ".balign 8",
    "    .word 0, 0",
    "    .long 8",
    ".text",
    header_magic = const HEADER_MAGIC,
    header_i386 = const HEADER_I386,
    header_bytes = const HEADER_BYTES,
    header_checksum = const HEADER_CHECKSUM,
);

global_asm!(
    ".section .text.boot, \"ax\"",
    ".code32",
    "latchwork_multiboot2_start:",
    "    mov esi, eax", // the loader's magic number, the second argument of kernel_main
    "    jmp latchwork_start",
    ".global latchwork_pvh_start",
    "latchwork_pvh_start:",
    "    mov esi, {pvh}",
    "latchwork_start:",
    "    cld",
    "    cli",
    "    mov esp, offset latchwork_boot_stack_top",
    // The first argument of kernel_main: the physical address of the loader's information.
    "    mov edi, ebx",

    // PML4[0] -> PDPT; PDPT[0..4] -> PD[0..4].
    "    mov eax, offset latchwork_pdpt + 3",
    "    mov [latchwork_pml4], eax",
    "    mov eax, offset latchwork_pds + 3",
    "    mov edx, offset latchwork_pdpt",
    "    mov ecx, 4",
    "2:  mov [edx], eax",
    "    add eax, 4096",
    "    add edx, 8",
    "    dec ecx",
    "    jnz 2b",

    // 2 MiB pages, present and writable; PCD and PWT from 3 GiB up.
    "    mov edx, offset latchwork_pds",
    "    mov eax, 0x83",
    "3:  mov ecx, eax",
    "    cmp eax, 0xc0000000",
    "    jb 4f",
    "    or ecx, 0x18",
    "4:  mov [edx], ecx",
    "    add edx, 8",
    "    add eax, 0x200000",
    "    jnc 3b",

    // 4 KiB pages for the first 8 MiB, and PD entries that point at their tables.
    "    mov edx, offset latchwork_small_pages",
    "    mov eax, 3",
    "5:  mov [edx], eax",
    "    add edx, 8",
    "    add eax, 4096",
    "    cmp eax, 0x800000",
    "    jb 5b",
    "    mov eax, offset latchwork_small_pages + 3",
    "    mov edx, offset latchwork_pds",
    "    mov ecx, 4",
    "6:  mov [edx], eax",
    "    add eax, 4096",
    "    add edx, 8",
    "    dec ecx",
    "    jnz 6b",

    "    mov eax, offset latchwork_pml4",
    "    mov cr3, eax",
    "    mov eax, 0x620", // PAE, OSFXSR, OSXMMEXCPT
    "    mov cr4, eax",
    "    mov ecx, 0xc0000080", // EFER
    "    rdmsr",
    "    or eax, 0x100", // LME
    "    wrmsr",
    "    mov eax, cr0",
    "    and eax, 0x9ffffff3", // clear CD, NW, TS, EM
    "    or eax, 0x80010023",  // PG, WP, NE, MP, PE
    "    mov cr0, eax",
    "    lgdt [latchwork_boot_gdtr]",
    "    ljmp 8, offset latchwork_boot_long_mode",

    ".code64",
    "latchwork_boot_long_mode:",
    "    mov esp, esp",
    "    call latchwork_early_segments",
    "    mov edi, edi",
    "    mov esi, esi",
    "    xor ebp, ebp",
    "    call {kernel_main}",
    "    ud2",

    // Loads the data selectors and points GS at the early area. Clobbers RAX, RCX, RDX.
    ".global latchwork_early_segments",
    "latchwork_early_segments:",
    "    mov eax, 16",
    "    mov ds, ax",
    "    mov es, ax",
    "    mov ss, ax",
    "    mov fs, ax",
    "    mov gs, ax",
    "    lea rax, [rip + {early_area}]",
    "    mov rdx, rax",
    "    shr rdx, 32",
    "    mov ecx, 0xc0000101", // GS base
    "    wrmsr",
    "    ret",

    ".section .rodata",
    ".balign 8",
    ".global latchwork_boot_gdt",
    "latchwork_boot_gdt:",
    "    .quad 0",
    "    .quad 0x00af9b000000ffff", // 8: 64-bit code
    "    .quad 0x00cf93000000ffff", // 16: data
    ".global latchwork_boot_gdtr",
    "latchwork_boot_gdtr:",
    "    .word 23",
    "    .quad latchwork_boot_gdt",

    ".section .bss",
    ".balign 4096",
    ".global latchwork_pml4",
    "latchwork_pml4:  .skip 4096",
    "latchwork_pdpt:  .skip 4096",
    "latchwork_pds:   .skip 4 * 4096",
    ".global latchwork_small_pages",
    "latchwork_small_pages: .skip 4 * 4096",
    "latchwork_boot_stack: .skip 32768",
    "latchwork_boot_stack_top:",
    ".text",
    pvh = const loader::PVH,
    kernel_main = sym crate::kernel_main,
    early_area = sym crate::cpu::area::EARLY_AREA,
);
