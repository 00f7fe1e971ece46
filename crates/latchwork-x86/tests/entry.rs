// SPDX-License-Identifier: MIT OR Apache-2.0
//! The entry's assembly, run in this process: everything in it is allowed in user mode, `iretq` to
//! the same privilege level included. What Rust does around the handler (GS base, CR2, DR7) is
//! privileged and tested with a model in `entry::state`.

#![cfg(all(target_arch = "x86_64", target_os = "linux", target_feature = "sse2"))]

use std::arch::{asm, global_asm};
use std::cell::UnsafeCell;
use std::ptr::NonNull;

use latchwork::Mode;
use latchwork_x86::entry::{NmiFrame, NmiStack, NmiStackTop};
use latchwork_x86::hw::GsAccess;

/// Machine state as the interrupted code has it before the NMI and finds it after.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(16))]
struct Machine {
    xmm: [[u64; 2]; 16],
    /// rax rbx rcx rdx rsi rdi rbp r8 to r15
    general: [u64; 15],
    rflags: u64,
    rsp: u64,
    mxcsr: u32,
    x87_control: u32,
}

impl Machine {
    const ZERO: Self =
        Self { xmm: [[0; 2]; 16], general: [0; 15], rflags: 0, rsp: 0, mxcsr: 0, x87_control: 0 };
}

#[repr(transparent)]
struct Shared<T>(UnsafeCell<T>);

// SAFETY: only one test of this file runs the entry, on one thread.
unsafe impl<T> Sync for Shared<T> {}

static BEFORE: Shared<Machine> = Shared(UnsafeCell::new(Machine::ZERO));
static AFTER: Shared<Machine> = Shared(UnsafeCell::new(Machine::ZERO));
static SEEN: Shared<Option<Seen>> = Shared(UnsafeCell::new(None));
static DRIVER_STACK: Shared<u64> = Shared(UnsafeCell::new(0));
static STACK: NmiStack<65536> = NmiStack::new();

#[derive(Debug)]
struct Seen {
    frame: NmiFrame,
    frame_address: u64,
    call_address: u64,
    rflags: u64,
    mxcsr: u32,
}

latchwork_x86::__nmi_entry_assembly!(test_nmi_entry, observe);

/// Stands where `nmi_entry!` puts the handler. Destroys every vector register.
unsafe extern "sysv64" fn observe(frame: &mut NmiFrame) {
    let rflags: u64;
    let call_address: u64;
    let mut mxcsr = 0u32;
    // With AC the compiler's unaligned accesses would end the test before its verdict.
    // SAFETY: reads the flags by way of the stack; clears DF and AC as compiled code wants them.
    unsafe { asm!("pushfq", "pop {}", "push 2", "popfq", out(reg) rflags) }
    // SAFETY: stores MXCSR into the local variable.
    unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr) }
    // SAFETY: reads RSP.
    unsafe { asm!("mov {}, rsp", out(reg) call_address) }
    let seen = Seen {
        frame: frame.clone(),
        frame_address: (&raw const *frame).addr() as u64,
        call_address,
        rflags,
        mxcsr,
    };
    // SAFETY: the test looks only after the entry has returned.
    unsafe { *SEEN.0.get() = Some(seen) };
    // SAFETY: changes the declared registers only.
    unsafe {
        asm!(
            "pcmpeqd xmm0, xmm0",
            "movaps xmm1, xmm0", "movaps xmm2, xmm0", "movaps xmm3, xmm0", "movaps xmm4, xmm0",
            "movaps xmm5, xmm0", "movaps xmm6, xmm0", "movaps xmm7, xmm0", "movaps xmm8, xmm0",
            "movaps xmm9, xmm0", "movaps xmm10, xmm0", "movaps xmm11, xmm0", "movaps xmm12, xmm0",
            "movaps xmm13, xmm0", "movaps xmm14, xmm0", "movaps xmm15, xmm0",
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
        );
    }
}

// Pushes what the CPU pushes at an NMI onto the stack at RDI, loads BEFORE, goes to the entry, and
// stores what comes back in AFTER. The flags in BEFORE are in force at the entry, and the alignment
// check may be one of them: every access is aligned.
global_asm!(
    ".pushsection .text",
    "run_test_nmi:",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "mov [rip + {driver_stack}], rsp",
    "lea rsi, [rip + {before}]",
    "mov rax, ss",
    "mov [rdi - 8], rax",
    "mov rax, [rsi + 384]",
    "mov [rdi - 16], rax",
    "mov rax, [rsi + 376]",
    "mov [rdi - 24], rax",
    "mov rax, cs",
    "mov [rdi - 32], rax",
    "lea rax, [rip + test_nmi_return]",
    "mov [rdi - 40], rax",
    "lea rsp, [rdi - 40]",
    "ldmxcsr [rsi + 392]",
    "fldcw [rsi + 396]",
    ".set n, 0",
    ".irp x, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
    "movaps xmm\\x, [rsi + 16 * \\x]",
    ".endr",
    "push qword ptr [rsi + 376]",
    "popfq",
    "mov rax, [rsi + 256]",
    "mov rbx, [rsi + 264]",
    "mov rcx, [rsi + 272]",
    "mov rdx, [rsi + 280]",
    "mov rdi, [rsi + 296]",
    "mov rbp, [rsi + 304]",
    "mov r8, [rsi + 312]",
    "mov r9, [rsi + 320]",
    "mov r10, [rsi + 328]",
    "mov r11, [rsi + 336]",
    "mov r12, [rsi + 344]",
    "mov r13, [rsi + 352]",
    "mov r14, [rsi + 360]",
    "mov r15, [rsi + 368]",
    "mov rsi, [rsi + 288]",
    "jmp test_nmi_entry",
    ".globl test_nmi_return",
    "test_nmi_return:",
    "mov [rip + {after} + 256], rax",
    "lea rax, [rip + {after}]",
    "mov [rax + 264], rbx",
    "mov [rax + 272], rcx",
    "mov [rax + 280], rdx",
    "mov [rax + 288], rsi",
    "mov [rax + 296], rdi",
    "mov [rax + 304], rbp",
    "mov [rax + 312], r8",
    "mov [rax + 320], r9",
    "mov [rax + 328], r10",
    "mov [rax + 336], r11",
    "mov [rax + 344], r12",
    "mov [rax + 352], r13",
    "mov [rax + 360], r14",
    "mov [rax + 368], r15",
    "mov [rax + 384], rsp",
    "mov rsp, [rip + {driver_stack}]",
    "pushfq",
    "pop qword ptr [rax + 376]",
    "push 2",
    "popfq",
    "stmxcsr [rax + 392]",
    "fnstcw [rax + 396]",
    ".irp x, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
    "movaps [rax + 16 * \\x], xmm\\x",
    ".endr",
    "push 0x1f80",
    "ldmxcsr [rsp]",
    "pop rax",
    "fninit",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "ret",
    ".popsection",
    driver_stack = sym DRIVER_STACK,
    before = sym BEFORE,
    after = sym AFTER,
);

unsafe extern "sysv64" {
    fn run_test_nmi(stack_top: u64);
    static test_nmi_return: u8;
}

const CARRY: u64 = 1 << 0;
const RESERVED_ONE: u64 = 1 << 1;
const INTERRUPTS: u64 = 1 << 9;
const DIRECTION: u64 = 1 << 10;
const NESTED_TASK: u64 = 1 << 14;
const ALIGNMENT_CHECK: u64 = 1 << 18;

#[test]
fn the_entry_shows_the_interrupted_state_and_puts_it_back() {
    let mut before = Machine {
        rflags: CARRY | RESERVED_ONE | INTERRUPTS | DIRECTION | ALIGNMENT_CHECK,
        // Deliberately not aligned: an NMI takes the stack pointer as it finds it. Nothing is
        // stored there.
        rsp: 0x7000_1234_5677,
        // Flush to zero, round towards zero, all exceptions masked.
        mxcsr: 0xFF80,
        // Single precision, all exceptions masked.
        x87_control: 0x007F,
        ..Machine::ZERO
    };
    for (index, register) in before.general.iter_mut().enumerate() {
        *register = 0xA000_0000_0000_0000 + (index as u64 + 1) * 0x0101_0101;
    }
    for (index, register) in before.xmm.iter_mut().enumerate() {
        *register = [0x1111_0000 + index as u64, !(index as u64)];
    }
    // SAFETY: nobody else uses the statics.
    unsafe { *BEFORE.0.get() = before };
    // SAFETY: used by this test only; the values are not used, as the privileged part does not run.
    let stack_top = unsafe { STACK.set_up(0x1234_5000, GsAccess::FsGsBase) };
    assert_eq!(stack_top % 16, 0);
    // SAFETY: it keeps what the C ABI demands and returns here once the entry has executed `iretq`.
    unsafe { run_test_nmi(stack_top) };
    // SAFETY: the entry is over.
    let after = unsafe { *AFTER.0.get() };
    // SAFETY: as above.
    let seen = unsafe { (*SEEN.0.get()).take() };
    let seen = seen.expect("the entry calls the handler");

    assert_eq!(after, before, "every register comes back");

    let [rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15] = before.general;
    let registers = seen.frame.registers;
    let shown = [
        registers.rax,
        registers.rbx,
        registers.rcx,
        registers.rdx,
        registers.rsi,
        registers.rdi,
        registers.rbp,
        registers.r8,
        registers.r9,
        registers.r10,
        registers.r11,
        registers.r12,
        registers.r13,
        registers.r14,
        registers.r15,
    ];
    assert_eq!(shown, [rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15]);
    assert_eq!(seen.frame.hardware.rsp, before.rsp);
    assert_eq!(seen.frame.hardware.rflags, before.rflags);
    assert_eq!(seen.frame.hardware.rip, (&raw const test_nmi_return).addr() as u64);

    assert_eq!(seen.frame_address + 24 * 8, stack_top, "right below the stack top");
    assert_eq!(seen.rflags & (DIRECTION | ALIGNMENT_CHECK | NESTED_TASK), 0);
    assert_eq!(seen.mxcsr, 0x1F80, "the default of SDM Vol. 1, 10.2.3");
    assert!(seen.call_address < seen.frame_address - 512, "vector registers lie between");

    let interrupted = seen.frame.interrupted();
    assert_eq!(interrupted.ip as u64, seen.frame.hardware.rip);
    assert_eq!(interrupted.sp as u64, before.rsp);
    assert_eq!(interrupted.fp as u64, rbp);
    assert_eq!(interrupted.mode, Mode::User, "this process runs in user mode");
    // SAFETY: the frame is alive.
    let decoded = unsafe { NmiFrame::from_opaque(interrupted.frame) };
    assert_eq!(decoded.unwrap().registers, registers);
}

#[test]
fn mode_is_the_privilege_level_of_cs() {
    let mut frame = NmiFrame::default();
    for (cs, mode) in
        [(0x08, Mode::Kernel), (0x10, Mode::Kernel), (0x33, Mode::User), (0x2B, Mode::User)]
    {
        frame.hardware.cs = cs;
        assert_eq!(frame.mode(), mode);
    }
    // SAFETY: null is allowed.
    assert!(unsafe { NmiFrame::from_opaque(core::ptr::null()) }.is_none());
}

#[test]
fn a_stack_of_the_kernels_own_gets_its_top() {
    #[repr(align(16))]
    struct Memory([u8; 64]);
    let mut memory = Memory([0xEE; 64]);
    let end = NonNull::from(&mut memory).cast::<u8>().as_ptr().wrapping_add(64);
    // SAFETY: the memory is this test's.
    let ist = unsafe {
        NmiStackTop::new(0xFFFF_8000_1234_5000, GsAccess::FsGsBase)
            .install(NonNull::new(end).unwrap())
    };
    assert_eq!(ist, end as u64 - 16);
    assert_eq!(memory.0[..48], [0xEE; 48]);
    assert_eq!(memory.0[48..56], 0xFFFF_8000_1234_5000u64.to_le_bytes());
    assert_eq!(memory.0[56..], 1u64.to_le_bytes());
}

extern "sysv64" fn handler(frame: &mut NmiFrame) {
    latchwork_x86::idle::fix_up(frame);
}

latchwork_x86::nmi_entry!(whole_test_nmi_entry, handler);
latchwork_x86::nmi_entry!(second_test_nmi_entry, crate::handler);

#[test]
fn the_macro_makes_a_symbol_with_code() {
    assert_ne!(whole_test_nmi_entry as *const (), second_test_nmi_entry as *const ());
    for entry in [whole_test_nmi_entry, second_test_nmi_entry] {
        let start = (entry as *const ()).cast::<u8>();
        // SAFETY: code is readable, and the entry is longer than this.
        let code = unsafe { std::slice::from_raw_parts(start, 4) };
        assert_eq!(code, [0x50, 0x53, 0x51, 0x52], "push rax, rbx, rcx, rdx");
    }
}
