// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interrupted side: loads every register with a chosen value, rings, waits for the NMI, and
//! stores what it finds.
//!
//! While the values are loaded no register is free, so the routine does everything else by memory
//! operands relative to RIP. That is why there is one [`Block`], and CPUs take turns. The ring is
//! the one place in the kernel that writes the ICR itself; the words come from the library's
//! encoder, and two or three of the chosen values are what the write needs.

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::mem::offset_of;

/// General registers but RSP: RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8 to R15.
pub(super) const GENERAL: usize = 15;

/// Names of the general registers, in order.
pub(super) const NAMES: [&str; GENERAL] = [
    "RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "R8", "R9", "R10", "R11", "R12", "R13", "R14",
    "R15",
];

/// Where RAX, RCX, RDX, R13 and R14 are in the arrays.
pub(super) const RAX: usize = 0;
pub(super) const RCX: usize = 2;
pub(super) const RDX: usize = 3;
pub(super) const R13: usize = 13 - 1;
pub(super) const R14: usize = 14 - 1;

/// What the routine does to ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Ring {
    /// Nothing.
    No = 0,
    /// Writes R13D to offset 310H and EAX to offset 300H of the page at R14.
    XApic = 1,
    /// Writes EDX:EAX to the MSR in ECX.
    X2Apic = 2,
}

/// What the routine loads and what it finds after the NMI.
#[derive(Debug)]
#[repr(C, align(16))]
pub(super) struct Block {
    pub(super) vectors_loaded: [u128; 16],
    pub(super) vectors_found: [u128; 16],
    pub(super) loaded: [u64; GENERAL],
    pub(super) found: [u64; GENERAL],
    pub(super) rsp_before: u64,
    pub(super) rsp_after: u64,
    pub(super) flags_loaded: u64,
    pub(super) flags_found: u64,
    pub(super) kernel_gs: u64,
    pub(super) gs_loaded: u64,
    pub(super) gs_found: u64,
    pub(super) cr2_loaded: u64,
    pub(super) cr2_found: u64,
    pub(super) dr7_loaded: u64,
    pub(super) dr7_found: u64,
    pub(super) mxcsr_loaded: u32,
    pub(super) mxcsr_found: u32,
    pub(super) kernel_mxcsr: u32,
    pub(super) ring: Ring,
    /// The NMI's handler sets it.
    pub(super) taken: u32,
    /// How many turns the routine waits for that.
    pub(super) patience: u32,
}

impl Block {
    pub(super) const fn new() -> Self {
        Self {
            vectors_loaded: [0; 16],
            vectors_found: [0; 16],
            loaded: [0; GENERAL],
            found: [0; GENERAL],
            rsp_before: 0,
            rsp_after: 0,
            flags_loaded: 0,
            flags_found: 0,
            kernel_gs: 0,
            gs_loaded: 0,
            gs_found: 0,
            cr2_loaded: 0,
            cr2_found: 0,
            dr7_loaded: 0,
            dr7_found: 0,
            mxcsr_loaded: 0,
            mxcsr_found: 0,
            kernel_mxcsr: 0,
            ring: Ring::No,
            taken: 0,
            patience: 0,
        }
    }
}

/// The block of the CPU whose turn it is.
#[repr(transparent)]
pub(super) struct SharedBlock(UnsafeCell<Block>);

// SAFETY: the CPU whose turn it is uses the block alone, its NMI handler through `mark_taken` only.
unsafe impl Sync for SharedBlock {}

pub(super) static BLOCK: SharedBlock = SharedBlock(UnsafeCell::new(Block::new()));

impl SharedBlock {
    /// The block, for the CPU whose turn it is.
    pub(super) fn get(&self) -> *mut Block {
        self.0.get()
    }

    /// Ends the wait of the routine that this NMI has interrupted. NMI-safe.
    pub(super) fn mark_taken(&self) {
        let taken = self.get().wrapping_byte_add(offset_of!(Block, taken)).cast::<u32>();
        // SAFETY: a word inside the static, which the interrupted routine looks at and nobody else
        // writes meanwhile.
        unsafe { taken.write_volatile(1) };
    }
}

unsafe extern "sysv64" {
    /// Loads, rings, waits, stores; see the module.
    ///
    /// # Safety
    ///
    /// Privilege level 0, interrupts off, it is this CPU's turn to use [`BLOCK`], and its values
    /// are such as their registers accept.
    pub(super) fn latchwork_kernel_entry_probe();
}

global_asm!(
    ".text",
    ".global latchwork_kernel_entry_probe",
    "latchwork_kernel_entry_probe:",
    "    push rbx",
    "    push rbp",
    "    push r12",
    "    push r13",
    "    push r14",
    "    push r15",
    "    pushfq",
    "    mov [rip + {block} + {rsp_before}], rsp",

    "    mov rax, [rip + {block} + {cr2_loaded}]",
    "    mov cr2, rax",
    "    mov rax, [rip + {block} + {dr7_loaded}]",
    "    mov dr7, rax",
    "    mov ecx, 0xc0000101", // GS base
    "    mov eax, [rip + {block} + {gs_loaded}]",
    "    mov edx, [rip + {block} + {gs_loaded} + 4]",
    "    wrmsr",
    ".if {sse}",
    "    ldmxcsr [rip + {block} + {mxcsr_loaded}]",
    "    movups xmm0, [rip + {block} + {vectors_loaded} + 0]",
    "    movups xmm1, [rip + {block} + {vectors_loaded} + 16]",
    "    movups xmm2, [rip + {block} + {vectors_loaded} + 32]",
    "    movups xmm3, [rip + {block} + {vectors_loaded} + 48]",
    "    movups xmm4, [rip + {block} + {vectors_loaded} + 64]",
    "    movups xmm5, [rip + {block} + {vectors_loaded} + 80]",
    "    movups xmm6, [rip + {block} + {vectors_loaded} + 96]",
    "    movups xmm7, [rip + {block} + {vectors_loaded} + 112]",
    "    movups xmm8, [rip + {block} + {vectors_loaded} + 128]",
    "    movups xmm9, [rip + {block} + {vectors_loaded} + 144]",
    "    movups xmm10, [rip + {block} + {vectors_loaded} + 160]",
    "    movups xmm11, [rip + {block} + {vectors_loaded} + 176]",
    "    movups xmm12, [rip + {block} + {vectors_loaded} + 192]",
    "    movups xmm13, [rip + {block} + {vectors_loaded} + 208]",
    "    movups xmm14, [rip + {block} + {vectors_loaded} + 224]",
    "    movups xmm15, [rip + {block} + {vectors_loaded} + 240]",
    ".endif",
    "    mov rax, [rip + {block} + {loaded} + 0]",
    "    mov rbx, [rip + {block} + {loaded} + 8]",
    "    mov rcx, [rip + {block} + {loaded} + 16]",
    "    mov rdx, [rip + {block} + {loaded} + 24]",
    "    mov rsi, [rip + {block} + {loaded} + 32]",
    "    mov rdi, [rip + {block} + {loaded} + 40]",
    "    mov rbp, [rip + {block} + {loaded} + 48]",
    "    mov r8, [rip + {block} + {loaded} + 56]",
    "    mov r9, [rip + {block} + {loaded} + 64]",
    "    mov r10, [rip + {block} + {loaded} + 72]",
    "    mov r11, [rip + {block} + {loaded} + 80]",
    "    mov r12, [rip + {block} + {loaded} + 88]",
    "    mov r13, [rip + {block} + {loaded} + 96]",
    "    mov r14, [rip + {block} + {loaded} + 104]",
    "    mov r15, [rip + {block} + {loaded} + 112]",
    "    push qword ptr [rip + {block} + {flags_loaded}]",
    "    popfq",

    "    cmp dword ptr [rip + {block} + {ring}], 1",
    "    jb 4f",
    "    je 3f",
    "    mfence",
    "    lfence",
    "    wrmsr",
    "    jmp 4f",
    "3:  mov [r14 + 0x310], r13d",
    "    mov [r14 + 0x300], eax",
    "4:  pause",
    "    cmp dword ptr [rip + {block} + {taken}], 0",
    "    jne 5f",
    "    dec dword ptr [rip + {block} + {patience}]",
    "    jnz 4b",
    "5:",

    "    mov [rip + {block} + {found} + 0], rax",
    "    mov [rip + {block} + {found} + 8], rbx",
    "    mov [rip + {block} + {found} + 16], rcx",
    "    mov [rip + {block} + {found} + 24], rdx",
    "    mov [rip + {block} + {found} + 32], rsi",
    "    mov [rip + {block} + {found} + 40], rdi",
    "    mov [rip + {block} + {found} + 48], rbp",
    "    mov [rip + {block} + {found} + 56], r8",
    "    mov [rip + {block} + {found} + 64], r9",
    "    mov [rip + {block} + {found} + 72], r10",
    "    mov [rip + {block} + {found} + 80], r11",
    "    mov [rip + {block} + {found} + 88], r12",
    "    mov [rip + {block} + {found} + 96], r13",
    "    mov [rip + {block} + {found} + 104], r14",
    "    mov [rip + {block} + {found} + 112], r15",
    "    mov [rip + {block} + {rsp_after}], rsp",
    "    pushfq",
    "    pop qword ptr [rip + {block} + {flags_found}]",
    "    mov rsp, [rip + {block} + {rsp_before}]",
    ".if {sse}",
    "    movups [rip + {block} + {vectors_found} + 0], xmm0",
    "    movups [rip + {block} + {vectors_found} + 16], xmm1",
    "    movups [rip + {block} + {vectors_found} + 32], xmm2",
    "    movups [rip + {block} + {vectors_found} + 48], xmm3",
    "    movups [rip + {block} + {vectors_found} + 64], xmm4",
    "    movups [rip + {block} + {vectors_found} + 80], xmm5",
    "    movups [rip + {block} + {vectors_found} + 96], xmm6",
    "    movups [rip + {block} + {vectors_found} + 112], xmm7",
    "    movups [rip + {block} + {vectors_found} + 128], xmm8",
    "    movups [rip + {block} + {vectors_found} + 144], xmm9",
    "    movups [rip + {block} + {vectors_found} + 160], xmm10",
    "    movups [rip + {block} + {vectors_found} + 176], xmm11",
    "    movups [rip + {block} + {vectors_found} + 192], xmm12",
    "    movups [rip + {block} + {vectors_found} + 208], xmm13",
    "    movups [rip + {block} + {vectors_found} + 224], xmm14",
    "    movups [rip + {block} + {vectors_found} + 240], xmm15",
    "    stmxcsr [rip + {block} + {mxcsr_found}]",
    "    ldmxcsr [rip + {block} + {kernel_mxcsr}]",
    ".endif",
    "    mov rax, dr7",
    "    mov [rip + {block} + {dr7_found}], rax",
    "    mov eax, 0x400", // no breakpoints
    "    mov dr7, rax",
    "    mov rax, cr2",
    "    mov [rip + {block} + {cr2_found}], rax",
    "    mov ecx, 0xc0000101", // GS base
    "    rdmsr",
    "    mov [rip + {block} + {gs_found}], eax",
    "    mov [rip + {block} + {gs_found} + 4], edx",
    "    mov eax, [rip + {block} + {kernel_gs}]",
    "    mov edx, [rip + {block} + {kernel_gs} + 4]",
    "    wrmsr",

    "    popfq",
    "    pop r15",
    "    pop r14",
    "    pop r13",
    "    pop r12",
    "    pop rbp",
    "    pop rbx",
    "    ret",
    block = sym BLOCK,
    sse = const cfg!(target_feature = "sse2") as usize,
    vectors_loaded = const offset_of!(Block, vectors_loaded),
    vectors_found = const offset_of!(Block, vectors_found),
    loaded = const offset_of!(Block, loaded),
    found = const offset_of!(Block, found),
    rsp_before = const offset_of!(Block, rsp_before),
    rsp_after = const offset_of!(Block, rsp_after),
    flags_loaded = const offset_of!(Block, flags_loaded),
    flags_found = const offset_of!(Block, flags_found),
    kernel_gs = const offset_of!(Block, kernel_gs),
    gs_loaded = const offset_of!(Block, gs_loaded),
    gs_found = const offset_of!(Block, gs_found),
    cr2_loaded = const offset_of!(Block, cr2_loaded),
    cr2_found = const offset_of!(Block, cr2_found),
    dr7_loaded = const offset_of!(Block, dr7_loaded),
    dr7_found = const offset_of!(Block, dr7_found),
    mxcsr_loaded = const offset_of!(Block, mxcsr_loaded),
    mxcsr_found = const offset_of!(Block, mxcsr_found),
    kernel_mxcsr = const offset_of!(Block, kernel_mxcsr),
    ring = const offset_of!(Block, ring),
    taken = const offset_of!(Block, taken),
    patience = const offset_of!(Block, patience),
);
