// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handler: checks the state that it runs on, then clobbers what it may.

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU32, Ordering};

use latchwork::{Claim, NmiContext, NmiHandler};
use x86_64::registers::control::Cr2;

use super::super::{Tally, check};
use super::probe::BLOCK;
use super::{AC, DF};
use crate::cpu::area;

/// What the handler found wrong, in NMIs.
static BAD_FLAGS: Tally = Tally::new();
static BAD_GS: Tally = Tally::new();
static BAD_STACK: Tally = Tally::new();
static BAD_DR7: Tally = Tally::new();
static BAD_MXCSR: Tally = Tally::new();

/// Where the armed breakpoint watches for writes.
static WATCHED: AtomicU32 = AtomicU32::new(0);

pub(super) struct Observer;
pub(super) static OBSERVER: Observer = Observer;

unsafe extern "sysv64" {
    /// Returns RSP modulo 16 as it is at its own entry.
    fn latchwork_kernel_stack_remainder() -> u64;
}

global_asm!(
    ".text",
    ".global latchwork_kernel_stack_remainder",
    "latchwork_kernel_stack_remainder:",
    "    mov rax, rsp",
    "    and eax, 15",
    "    ret",
);

/// Makes this CPU's breakpoint 0 watch [`WATCHED`], for when it is armed.
pub(super) fn watch() {
    let address = (&raw const WATCHED).addr();
    // SAFETY: sets an address only; DR7 arms it.
    unsafe { asm!("mov dr0, {}", in(reg) address, options(nomem, nostack, preserves_flags)) };
}

fn flags() -> u64 {
    let flags;
    // SAFETY: reads the flags by way of the stack.
    unsafe { asm!("pushfq", "pop {}", out(reg) flags, options(preserves_flags)) };
    flags
}

fn dr7() -> u64 {
    let dr7;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, dr7", out(reg) dr7, options(nomem, nostack, preserves_flags)) };
    dr7
}

// SAFETY: touches atomics in statics and one word of the block that the interrupted routine waits
// for; takes no exception, the breakpoint being off in NMIs, which is what is tested.
unsafe impl NmiHandler for Observer {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        BAD_FLAGS.add(u64::from(flags() & (DF | AC) != 0));
        BAD_GS.add(u64::from(
            area::current_cpu() != Some(ctx.cpu()) || gs_base() != area::address(ctx.cpu()) as u64,
        ));
        // SAFETY: touches RAX and the flags.
        BAD_STACK.add(u64::from(unsafe { latchwork_kernel_stack_remainder() } != 8));
        BAD_DR7.add(u64::from(dr7() & 0xff != 0));
        WATCHED.store(1, Ordering::Relaxed);
        let garbage = !Cr2::read_raw();
        // SAFETY: nobody reads CR2 before the entry code has restored it.
        unsafe { asm!("mov cr2, {}", in(reg) garbage, options(nomem, nostack, preserves_flags)) };
        clobber_vectors();
        BLOCK.mark_taken();
        Claim::Handled
    }
}

fn gs_base() -> u64 {
    x86_64::registers::model_specific::GsBase::read().as_u64()
}

#[cfg(target_feature = "sse2")]
fn clobber_vectors() {
    let mut mxcsr: u32 = 0;
    // SAFETY: stores MXCSR to a local.
    unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr, options(nostack, preserves_flags)) };
    BAD_MXCSR.add(u64::from(mxcsr != super::PLAIN_MXCSR));
    // SAFETY: all of these are the caller's to lose.
    unsafe {
        asm!(
            "pcmpeqd xmm0, xmm0", "pcmpeqd xmm1, xmm1", "pcmpeqd xmm2, xmm2", "pcmpeqd xmm3, xmm3",
            "pcmpeqd xmm4, xmm4", "pcmpeqd xmm5, xmm5", "pcmpeqd xmm6, xmm6", "pcmpeqd xmm7, xmm7",
            "pcmpeqd xmm8, xmm8", "pcmpeqd xmm9, xmm9", "pcmpeqd xmm10, xmm10", "pcmpeqd xmm11, \
                                                                                 xmm11",
            "pcmpeqd xmm12, xmm12", "pcmpeqd xmm13, xmm13", "pcmpeqd xmm14, xmm14", "pcmpeqd \
                                                                                     xmm15, xmm15",
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
            out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
            options(nomem, nostack, preserves_flags),
        );
    }
}

#[cfg(not(target_feature = "sse2"))]
fn clobber_vectors() {
    let _ = &BAD_MXCSR;
}

/// Prints the checks on what `taken` handlers found.
pub(super) fn report(taken: u64) {
    for (name, bad, what) in [
        ("handler-flags", &BAD_FLAGS, "DF and AC clear"),
        ("handler-gs", &BAD_GS, "the kernel's GS base"),
        ("handler-stack", &BAD_STACK, "a stack aligned to 16 bytes"),
        ("handler-breakpoints", &BAD_DR7, "breakpoints off"),
        ("handler-mxcsr", &BAD_MXCSR, "MXCSR at its default where the build uses it"),
    ] {
        check(
            name,
            bad.get() == 0 && taken != 0,
            format_args!("{what} in more than 0 NMIs"),
            format_args!("{taken} NMIs, otherwise in {}", bad.get()),
        );
    }
}
