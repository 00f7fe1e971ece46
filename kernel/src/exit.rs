// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ending the machine: QEMU's `isa-debug-exit` device, and a halt where there is none.

use x86_64::instructions::port::Port;

use crate::cpu;

const DEBUG_EXIT: u16 = 0xf4;

/// How the kernel ended. QEMU's exit status is twice the value plus one.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(crate) enum Ending {
    /// The scenario ran to its end (status 33). Whether it held is in its checks.
    InOrder = 0x10,
    /// A panic or an unexpected exception (status 35).
    Panic = 0x11,
    /// The unknown policy stopped the kernel (status 37).
    UnknownPolicy = 0x12,
}

/// Ends the machine. Any context.
pub(crate) fn exit(ending: Ending) -> ! {
    // SAFETY: the port is the debug exit device's, or nobody's.
    unsafe { Port::new(DEBUG_EXIT).write(ending as u32) };
    cpu::park()
}
