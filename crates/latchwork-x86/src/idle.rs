// SPDX-License-Identifier: MIT OR Apache-2.0
//! Idling without losing a wake-up to an NMI.
//!
//! An idle loop checks for work with interrupts off, then executes `sti; hlt`. `sti` keeps
//! interrupts off for one more instruction, so no interrupt comes between the two and a wake-up
//! that is pending ends the `hlt` immediately. An NMI may come there, and it ends that shadow,
//! since the CPU need not hold NMIs back there (SDM Vol. 2B, "STI"): after its `iretq` the CPU
//! takes a pending interrupt *before* the `hlt`, and then sleeps on work that has just arrived.
//!
//! So the idle routine has a known window, and a handler that interrupts it there moves the
//! instruction pointer past the `hlt`:
//!
//! ```
//! # use latchwork_x86::{entry::NmiFrame, idle};
//! extern "sysv64" fn handle_nmi(frame: &mut NmiFrame) {
//!     // ... dispatch ...
//!     idle::fix_up(frame);
//! }
//! ```
//!
//! ```no_run
//! # use latchwork_x86::idle;
//! # fn work_is_there() -> bool { false }
//! # fn disable_interrupts() {}
//! disable_interrupts();
//! while !work_is_there() {
//!     // SAFETY: privilege level 0, interrupts off, and the NMI handler calls `idle::fix_up`.
//!     unsafe { idle::wait_for_interrupt() };
//! }
//! ```
//!
//! # Contract
//!
//!  - The idle loop calls [`wait_for_interrupt`] with interrupts off after a check for work, and
//!    that returns with interrupts off. It may return without an interrupt having come: the caller
//!    checks again.
//!  - An NMI handler that has made work for the idle loop also raises a maskable interrupt on this
//!    CPU. To set a flag is not enough: the NMI may have come between the check and the `sti`, and
//!    then the CPU executes the `hlt`.
//!  - Other handlers that can interrupt the window (machine check, debug) call [`resume_ip`] on
//!    their own frames.

#![deny(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use core::arch::global_asm;

use crate::entry::NmiFrame;

global_asm!(
    ".pushsection .text.latchwork_x86_idle, \"ax\", @progbits",
    ".globl latchwork_x86_idle",
    ".type latchwork_x86_idle, @function",
    "latchwork_x86_idle:",
    "sti",
    ".globl latchwork_x86_idle_hlt",
    "latchwork_x86_idle_hlt:",
    "hlt",
    ".globl latchwork_x86_idle_resume",
    "latchwork_x86_idle_resume:",
    "cli",
    "ret",
    ".size latchwork_x86_idle, . - latchwork_x86_idle",
    ".popsection",
);

unsafe extern "C" {
    fn latchwork_x86_idle();
    static latchwork_x86_idle_hlt: u8;
    static latchwork_x86_idle_resume: u8;
}

/// Sleeps until an interrupt has come. See the [contract](self#contract).
///
/// # Safety
///
///  - Privilege level 0, interrupts off, and the caller holds nothing that an interrupt handler
///    waits for.
///  - The kernel's NMI handler calls [`fix_up`]. If it does not, this CPU may lose wake-ups.
pub unsafe fn wait_for_interrupt() {
    // SAFETY: the contract of this function. The routine keeps every register and uses no stack but
    // its return address.
    unsafe { latchwork_x86_idle() }
}

/// Moves the interrupted instruction pointer past the `hlt` if the NMI came between `sti` and
/// `hlt`. NMI-safe; call it in every NMI, before or after dispatch.
pub fn fix_up(frame: &mut NmiFrame) {
    if let Some(ip) = resume_ip(frame.hardware.rip) {
        frame.hardware.rip = ip;
    }
}

/// The address at which code that was interrupted at `ip` must go on, if `ip` is inside the idle
/// routine's window; else `None`. NMI-safe.
#[must_use]
pub fn resume_ip(ip: u64) -> Option<u64> {
    let window = Window {
        hlt: (&raw const latchwork_x86_idle_hlt).addr() as u64,
        resume: (&raw const latchwork_x86_idle_resume).addr() as u64,
    };
    window.resume_ip(ip)
}

/// The window between `sti` and `hlt`. The CPU is in it when the next instruction is the `hlt`: an
/// IP on the `sti` means that interrupts are still off, an IP behind the `hlt` means that the CPU
/// has slept and woken.
struct Window {
    hlt: u64,
    resume: u64,
}

impl Window {
    fn resume_ip(&self, ip: u64) -> Option<u64> {
        (ip == self.hlt).then_some(self.resume)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_ip_on_the_hlt_moves() {
        let window = Window { hlt: 101, resume: 102 };
        assert_eq!(window.resume_ip(100), None, "interrupts are off before the sti");
        assert_eq!(window.resume_ip(101), Some(102));
        assert_eq!(window.resume_ip(102), None, "the cpu has slept");
        assert_eq!(window.resume_ip(0), None);
    }

    #[test]
    fn the_routine_is_sti_hlt_cli_ret() {
        let start = latchwork_x86_idle as *const () as *const u8;
        // SAFETY: the routine is four one-byte instructions in this program's text.
        let code = unsafe { core::slice::from_raw_parts(start, 4) };
        assert_eq!(code, [0xFB, 0xF4, 0xFA, 0xC3]);
        let start = start as u64;
        assert_eq!(resume_ip(start), None);
        assert_eq!(resume_ip(start + 1), Some(start + 2));
        assert_eq!(resume_ip(start + 2), None);
    }
}
