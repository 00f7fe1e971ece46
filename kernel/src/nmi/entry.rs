// SPDX-License-Identifier: MIT OR Apache-2.0
//! The NMI entry: the library's entry code, and what it calls.

use core::sync::atomic::{AtomicBool, Ordering};

use latchwork_x86::entry::{HardwareFrame, NmiFrame};
use latchwork_x86::idle;

use super::NMI;
use crate::console;
use crate::exit::{Ending, exit};
use crate::scenario::{entry_state, sequences};

latchwork_x86::nmi_entry!(latchwork_kernel_nmi_entry, enter);

/// Leave out the fix-up of the idle window: a fault of scenario `idle-wake`.
static SKIP_IDLE_FIX_UP: AtomicBool = AtomicBool::new(false);

/// The address of the entry code, for the gate of vector 2.
pub(crate) fn address() -> u64 {
    latchwork_kernel_nmi_entry as *const () as u64
}

/// Leaves out the fix-up of the idle window from now on.
pub(crate) fn skip_idle_fix_up() {
    SKIP_IDLE_FIX_UP.store(true, Ordering::Relaxed);
}

/// On the CPU's NMI stack, with NMIs and interrupts off, the kernel's GS and sane flags.
extern "sysv64" fn enter(frame: &mut NmiFrame) {
    if NMI.in_nmi() {
        nested(frame);
    }
    let interrupted = frame.interrupted();
    sequences::around_dispatch(|| {
        // SAFETY:
        //  - The entry code calls this in an NMI, which lasts until it returns.
        //  - Nothing but another NMI runs on this CPU meanwhile: interrupts are off, and no handler
        //    takes an exception.
        //  - The frame is the entry code's, alive during the call.
        unsafe { NMI.dispatch(&interrupted) }
    });
    entry_state::after_dispatch(frame);
    if !SKIP_IDLE_FIX_UP.load(Ordering::Relaxed) {
        idle::fix_up(frame);
    }
}

/// An NMI in an NMI, which the entry does not cover yet: the outer one's frame is lost. The kernel
/// reports it and ends, and does not return into a loop.
#[cold]
fn nested(frame: &NmiFrame) -> ! {
    console::last_words(|out| {
        let HardwareFrame { rip, rflags, rsp, .. } = frame.hardware;
        let _ = writeln!(
            out,
            "PANIC an NMI interrupted an NMI at RIP {rip:#x}, RFLAGS {rflags:#x}, RSP {rsp:#x}"
        );
    });
    exit(Ending::Panic)
}
