// SPDX-License-Identifier: MIT OR Apache-2.0
//! The functions that compiled code calls and that a hosted target expects from its C library.
//!
//! `compiler_builtins` has the memory functions for bare-metal targets only. This code never sets
//! the direction flag: an NMI may hit any instruction here, and then needs no special case.

use core::arch::global_asm;

global_asm!(
    ".text",
    ".global memcpy",
    "memcpy:",
    "    mov rax, rdi",
    "    mov rcx, rdx",
    "    shr rcx, 3",
    "    rep movsq",
    "    mov ecx, edx",
    "    and ecx, 7",
    "    rep movsb",
    "    ret",
    ".global memmove",
    "memmove:",
    "    mov rax, rdi",
    "    sub rax, rsi",
    "    cmp rax, rdx",
    "    jae memcpy", // unsigned: the destination does not begin inside the source
    "    mov rax, rdi",
    "2:  test rdx, rdx",
    "    jz 3f",
    "    dec rdx",
    "    mov cl, [rsi + rdx]",
    "    mov [rdi + rdx], cl",
    "    jmp 2b",
    "3:  ret",
    ".global memset",
    "memset:",
    "    mov r8, rdi",
    "    mov eax, esi",
    "    mov rcx, rdx",
    "    rep stosb",
    "    mov rax, r8",
    "    ret",
    ".global memcmp",
    ".global bcmp",
    "memcmp:",
    "bcmp:",
    "    xor eax, eax",
    "    xor ecx, ecx",
    "2:  cmp rcx, rdx",
    "    je 3f",
    "    movzx eax, byte ptr [rdi + rcx]",
    "    movzx r8d, byte ptr [rsi + rcx]",
    "    inc rcx",
    "    sub eax, r8d",
    "    je 2b",
    "3:  ret",
    ".global strlen",
    "strlen:",
    "    xor eax, eax",
    "2:  cmp byte ptr [rdi + rax], 0",
    "    je 3f",
    "    inc rax",
    "    jmp 2b",
    "3:  ret",
);

/// Named by the prebuilt `core`'s unwind tables. Nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Named by debug builds' landing pads. Nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() {}
