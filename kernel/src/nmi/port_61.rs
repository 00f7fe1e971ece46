// SPDX-License-Identifier: MIT OR Apache-2.0
//! The chipset's word on an NMI, and its two sources, at port 0x61.

use latchwork_x86::hw::CpuPort;
use latchwork_x86::port61::{self, Masking, NmiStatus};

const fn port() -> CpuPort {
    // SAFETY: the kernel runs at privilege level 0.
    unsafe { CpuPort::new() }
}

/// What the chipset says about an NMI. NMI-safe.
pub(super) fn status() -> NmiStatus {
    // SAFETY: this is a PC.
    unsafe { port61::read(&port()) }
}

/// Masks whatever the chipset says is active: what this kernel does about a line that rings on and
/// that no handler claims. Says what was masked. NMI-safe.
pub(super) fn mask_active() -> Masking {
    // SAFETY: this is a PC, and no handler of this kernel takes NMIs from the chipset's sources.
    unsafe { port61::mask_active(&port()) }
}
