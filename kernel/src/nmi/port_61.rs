// SPDX-License-Identifier: MIT OR Apache-2.0
//! Port 0x61: what the chipset says about an NMI, and the masks of its two sources.

use core::sync::atomic::{AtomicU8, Ordering};

use latchwork_x86::hw::CpuPort;
use latchwork_x86::port61::{self, Masking, NmiStatus, Sources};

const fn port() -> CpuPort {
    // SAFETY: the kernel runs at privilege level 0.
    unsafe { CpuPort::new() }
}

/// What the chipset says about an NMI. NMI-safe.
pub(super) fn status() -> NmiStatus {
    // SAFETY: this is a PC.
    unsafe { port61::read(&port()) }
}

/// The sources that this kernel has masked, by bit. The CPU to which the library reports a storm
/// adds to it, after it has written the port. The CPU to which the library reports the storm's end
/// clears it, before it writes the port. Relaxed: no other data depends on it.
static MASKED: AtomicU8 = AtomicU8::new(0);

const SERR: u8 = 1 << 0;
const IOCHK: u8 = 1 << 1;

/// Masks whatever the chipset says is active. This kernel does so about a line that keeps ringing
/// and that no handler claims. Returns what was masked. NMI-safe.
pub(super) fn mask_active() -> Masking {
    // SAFETY: this is a PC, and no handler of this kernel takes NMIs from the chipset's sources.
    let masking = unsafe { port61::mask_active(&port()) };
    if let Masking::Masked(Sources { serr, iochk }) = masking {
        let bits = if serr { SERR } else { 0 } | if iochk { IOCHK } else { 0 };
        MASKED.fetch_or(bits, Ordering::Relaxed);
    }
    masking
}

/// Unmasks what [`mask_active`] has masked. A source that is still active begins the next storm.
/// NMI-safe.
pub(super) fn unmask() {
    let bits = MASKED.swap(0, Ordering::Relaxed);
    if bits != 0 {
        let sources = Sources { serr: bits & SERR != 0, iochk: bits & IOCHK != 0 };
        // SAFETY: this is a PC, and its IDT was loaded before NMIs came of which there is a storm.
        unsafe { port61::unmask(&port(), sources) };
    }
}
