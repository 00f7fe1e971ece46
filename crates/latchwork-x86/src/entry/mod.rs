// SPDX-License-Identifier: MIT OR Apache-2.0
//! The NMI entry for a kernel with an IDT and an NMI stack of its own (IST).
//!
//! [`nmi_entry!`](crate::nmi_entry) makes the entry: a symbol that the kernel puts into IDT vector
//! 2, which calls a Rust function with an [`NmiFrame`]. That function hands
//! [`NmiFrame::interrupted`] to the dispatcher of `latchwork`.
//!
//! # What the kernel does
//!
//!  1. It gives every CPU an NMI stack with an [`NmiStackTop`] at its very top, by
//!     [`NmiStack::set_up`] or [`NmiStackTop::install`], and puts the returned address into an IST
//!     slot of the CPU's TSS which nothing but the NMI uses.
//!  2. It puts the entry's address into IDT vector 2 as a 64-bit *interrupt* gate with that IST
//!     slot.
//!  3. It keeps CR0.TS and CR0.EM clear and CR4.OSFXSR set, if it is built with SSE (the default of
//!     every target but `x86_64-unknown-none`), and DR7.GD clear.
//!
//! ```
//! use latchwork_x86::entry::NmiFrame;
//!
//! extern "sysv64" fn handle_nmi(frame: &mut NmiFrame) {
//!     let interrupted = frame.interrupted();
//!     // unsafe { NMI.dispatch(&interrupted) };
//!     # let _ = interrupted;
//! }
//!
//! latchwork_x86::nmi_entry!(kernel_nmi_entry, handle_nmi);
//!
//! fn address_for_idt_vector_2() -> u64 {
//!     kernel_nmi_entry as *const () as u64
//! }
//! # fn main() { assert_ne!(address_for_idt_vector_2(), 0); }
//! ```
//!
//! # What the entry does
//!
//! An NMI may interrupt anything: user code, the kernel with interrupts off, the first instruction
//! of the system call entry with the user's stack and GS base, the page fault entry before it has
//! read CR2. So the entry assumes nothing about the interrupted state. For each part of it, the
//! entry does this:
//!
//! | state | in | out |
//! |---|---|---|
//! | general registers | saved in the frame | restored; the handler may change them |
//! | RFLAGS | `popfq` of a constant: DF, AC, NT and IOPL clear | restored by `iretq` |
//! | XMM0 to XMM15, MXCSR | in a build with SSE: saved, MXCSR set to its default | restored |
//! | x87 and MMX state | untouched: no compiled code uses it, and handlers must not | |
//! | GS base | read; written only if [`NmiStackTop`] has another | written only if it was |
//! | DR7 | read; breakpoints switched off if any is on | written only if any was on |
//! | CR2 | read | written only if the handler changed it |
//! | stack | 16-byte aligned at every call; nothing is assumed below RSP | |
//!
//! `popfq` of a constant does what `cld` and `clac` do, and needs no variant for CPUs without SMAP,
//! where `clac` is undefined. AC must be cleared: user code can set it, and it would switch SMAP
//! off in the handler.
//!
//! The entry compares the GS base with the kernel's. That is right wherever the NMI hits, since the
//! entry neither asks what it interrupted nor uses `swapgs`.
//!
//! # What it does not cover
//!
//!  - **An NMI on top of an NMI.** The CPU blocks NMIs until the next `iret`. If the handler takes
//!    a fault whose handler returns by `iret`, or if an SMI arrives in it, NMIs are open again
//!    while the frame is on the NMI stack, and the next one overwrites it (SDM Vol. 3A, "Handling
//!    Multiple NMIs", and Vol. 3C, "NMI Handling While in SMM"). Until the entry moves the frame
//!    away and latches the inner edge in software, the handler must take no exception, and an SMI
//!    at the wrong moment is fatal.
//!  - A hardware breakpoint on the entry's own code or on the NMI stack, which hits before DR7 is
//!    cleared.
//!  - **FRED.** With CR4.FRED set, events do not come through the IDT.
//!  - CR3 (page table isolation), SPEC_CTRL, CET shadow stacks, and vector registers beyond SSE.
//!    The crate refuses a build with AVX, since the entry does not save the registers that such
//!    code uses. Code without AVX leaves the upper halves of the vector registers alone.

#![deny(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod frame;
mod stack;
mod state;
mod stub;

pub use frame::{HardwareFrame, NmiFrame, Registers};
pub use stack::{NmiStack, NmiStackTop, gs_access};
pub use state::{restore, run, save};
