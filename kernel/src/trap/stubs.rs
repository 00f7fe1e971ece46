// SPDX-License-Identifier: MIT OR Apache-2.0
//! Entry code of all vectors but the NMI's: saves the registers and calls [`super::enter`].
//!
//! Each stub makes the frame uniform (an error code of 0 where the CPU pushes none) and adds its
//! vector. The common part saves the general registers and, where the build uses them, the vector
//! registers. It saves them one by one, since compiled code has no use for the x87 state that
//! FXSAVE and FXRSTOR move as well, and FXRSTOR must not run beside NMIs under QEMU (`README.md`).
//! GS is the kernel's here: this kernel has no user mode, and wherever it gives GS another value it
//! keeps maskable interrupts out. For an exception the stub takes GS from the stack's anchor
//! instead, since an exception may hit any code.

use core::arch::global_asm;

use crate::cpu::stacks::ANCHOR_SIZE;

/// Bytes from one stub to the next.
const STUB_SPACING: usize = 16;

unsafe extern "C" {
    static latchwork_trap_stubs: [u8; 256 * STUB_SPACING];
}

/// The registers an interrupt or exception saved, in memory order.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct TrapFrame {
    /// R15, R14, R13, R12, R11, R10, R9, R8, RBP, RDI, RSI, RDX, RCX, RBX, RAX.
    pub(crate) general: [u64; 15],
    /// The vector.
    pub(crate) vector: u64,
    /// The error code, or 0.
    pub(crate) error_code: u64,
    /// The interrupted instruction.
    pub(crate) rip: u64,
    /// The interrupted code segment.
    pub(crate) cs: u64,
    /// The interrupted flags.
    pub(crate) rflags: u64,
    /// The interrupted stack pointer.
    pub(crate) rsp: u64,
    /// The interrupted stack segment.
    pub(crate) ss: u64,
}

/// Names of [`TrapFrame::general`], in order.
pub(crate) const GENERAL_NAMES: [&str; 15] = [
    "R15", "R14", "R13", "R12", "R11", "R10", "R9", "R8", "RBP", "RDI", "RSI", "RDX", "RCX", "RBX",
    "RAX",
];

/// The address of the entry code of `vector`.
pub(crate) fn address(vector: u8) -> u64 {
    (&raw const latchwork_trap_stubs).addr() as u64 + u64::from(vector) * STUB_SPACING as u64
}

global_asm!(
    ".text",
    ".balign 16",
    ".global latchwork_trap_stubs",
    "latchwork_trap_stubs:",
    ".set latchwork_vector, 0",
    ".rept 256",
    "    .balign {spacing}",
    // The vectors for which the CPU pushes an error code (SDM Vol. 3A, 7.13).
    "    .if latchwork_vector != 8 && (latchwork_vector < 10 || latchwork_vector > 14) && \
     latchwork_vector != 17 \
             && latchwork_vector != 21 && latchwork_vector != 29 && latchwork_vector != 30",
    "    pushq $0",
    "    .endif",
    "    pushq $latchwork_vector",
    "    jmp latchwork_trap_common",
    "    .set latchwork_vector, latchwork_vector + 1",
    ".endr",
    ".balign 16",
    "latchwork_trap_common:",
    "    pushq %rax",
    "    pushq %rbx",
    "    pushq %rcx",
    "    pushq %rdx",
    "    pushq %rsi",
    "    pushq %rdi",
    "    pushq %rbp",
    "    pushq %r8",
    "    pushq %r9",
    "    pushq %r10",
    "    pushq %r11",
    "    pushq %r12",
    "    pushq %r13",
    "    pushq %r14",
    "    pushq %r15",
    "    cld",
    "    movq %rsp, %rbx",
    // An exception: take the kernel's GS from the anchor, which the CPU's own five words and an
    // error code lie below.
    "    cmpq $32, 120(%rbx)",
    "    jae 2f",
    "    leaq 176(%rbx), %rcx",
    "    movq (%rcx), %rax",
    "    movq %rax, %rdx",
    "    shrq $32, %rdx",
    "    movl $0xc0000101, %ecx", // GS base
    "    wrmsr",
    "2:",
    ".if {sse}",
    "    subq $272, %rsp",
    "    andq $-16, %rsp",
    "    movaps %xmm0, 0(%rsp)",
    "    movaps %xmm1, 16(%rsp)",
    "    movaps %xmm2, 32(%rsp)",
    "    movaps %xmm3, 48(%rsp)",
    "    movaps %xmm4, 64(%rsp)",
    "    movaps %xmm5, 80(%rsp)",
    "    movaps %xmm6, 96(%rsp)",
    "    movaps %xmm7, 112(%rsp)",
    "    movaps %xmm8, 128(%rsp)",
    "    movaps %xmm9, 144(%rsp)",
    "    movaps %xmm10, 160(%rsp)",
    "    movaps %xmm11, 176(%rsp)",
    "    movaps %xmm12, 192(%rsp)",
    "    movaps %xmm13, 208(%rsp)",
    "    movaps %xmm14, 224(%rsp)",
    "    movaps %xmm15, 240(%rsp)",
    "    stmxcsr 256(%rsp)",
    ".else",
    "    andq $-16, %rsp",
    ".endif",
    "    movq %rbx, %rdi",
    "    call {enter}",
    ".if {sse}",
    "    movaps 0(%rsp), %xmm0",
    "    movaps 16(%rsp), %xmm1",
    "    movaps 32(%rsp), %xmm2",
    "    movaps 48(%rsp), %xmm3",
    "    movaps 64(%rsp), %xmm4",
    "    movaps 80(%rsp), %xmm5",
    "    movaps 96(%rsp), %xmm6",
    "    movaps 112(%rsp), %xmm7",
    "    movaps 128(%rsp), %xmm8",
    "    movaps 144(%rsp), %xmm9",
    "    movaps 160(%rsp), %xmm10",
    "    movaps 176(%rsp), %xmm11",
    "    movaps 192(%rsp), %xmm12",
    "    movaps 208(%rsp), %xmm13",
    "    movaps 224(%rsp), %xmm14",
    "    movaps 240(%rsp), %xmm15",
    "    ldmxcsr 256(%rsp)",
    ".endif",
    "    movq %rbx, %rsp",
    "    popq %r15",
    "    popq %r14",
    "    popq %r13",
    "    popq %r12",
    "    popq %r11",
    "    popq %r10",
    "    popq %r9",
    "    popq %r8",
    "    popq %rbp",
    "    popq %rdi",
    "    popq %rsi",
    "    popq %rdx",
    "    popq %rcx",
    "    popq %rbx",
    "    popq %rax",
    "    addq $16, %rsp",
    "    iretq",
    ".text",
    spacing = const STUB_SPACING,
    sse = const cfg!(target_feature = "sse2") as usize,
    enter = sym super::enter,
    options(att_syntax),
);

// The frame's 22 words end where the anchor begins: the stub reads it at offset 176.
const _: () = assert!(size_of::<TrapFrame>() == 176 && ANCHOR_SIZE >= 8);
