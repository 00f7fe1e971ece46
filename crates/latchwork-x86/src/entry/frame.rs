// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the entry leaves on the stack.

use core::mem::{offset_of, size_of};

use latchwork::{Interrupted, Mode, OpaqueFrame};

/// The interrupted state. The interrupted code goes on with whatever the handler has put into
/// [`registers`](Self::registers) and [`hardware`](Self::hardware).
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct NmiFrame {
    /// The entry's scratch word.
    pub(super) scratch: u64,
    /// DR7 of the interrupted code. If it enables breakpoints (bits 7:0), the entry writes it back
    /// after the NMI.
    pub dr7: u64,
    /// CR2 of the interrupted code.
    pub cr2: u64,
    /// GS base of the interrupted code.
    pub gs_base: u64,
    /// General registers.
    pub registers: Registers,
    /// What the CPU pushed.
    pub hardware: HardwareFrame,
}

// The entry's assembly pushes exactly these words in this order, and its calls are aligned only if
// they are a multiple of 16 bytes.
const _: () = {
    assert!(size_of::<NmiFrame>() == 24 * 8);
    assert!(offset_of!(NmiFrame, registers) == 4 * 8);
    assert!(offset_of!(NmiFrame, hardware) == 19 * 8);
};

/// General registers in the order of the entry's pushes, the last one first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[expect(missing_docs, reason = "each name says the register")]
pub struct Registers {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
}

/// The frame that the CPU pushes at an interrupt in 64-bit mode (SDM Vol. 3A, "64-Bit Mode Stack
/// Frame").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[expect(missing_docs, reason = "each name says the register")]
pub struct HardwareFrame {
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

impl NmiFrame {
    /// The interrupted state as the dispatcher of `latchwork` takes it. NMI-safe.
    ///
    /// Its frame pointer is this frame, which [`from_opaque`](Self::from_opaque) decodes; it is
    /// valid as long as the frame is. There is no source map, since the CPU delivers none through
    /// the IDT (Intel FRED specification, "NMI-source reporting").
    #[must_use]
    pub fn interrupted(&self) -> Interrupted {
        Interrupted {
            ip: self.hardware.rip as usize,
            sp: self.hardware.rsp as usize,
            fp: self.registers.rbp as usize,
            mode: self.mode(),
            frame: (&raw const *self).cast::<OpaqueFrame>(),
            sources: None,
        }
    }

    /// Whether the NMI interrupted user or kernel code, by the privilege level in the saved CS.
    /// NMI-safe.
    #[must_use]
    pub fn mode(&self) -> Mode {
        if self.hardware.cs & 3 == 0 { Mode::Kernel } else { Mode::User }
    }

    /// Decodes the frame pointer that a handler gets from its context. `None` if it is null.
    /// NMI-safe.
    ///
    /// # Safety
    ///
    /// `frame` is null or comes from [`interrupted`](Self::interrupted) of a frame that is alive
    /// and not changed for `'a`. Within one NMI, that is until the handler returns.
    #[must_use]
    pub unsafe fn from_opaque<'a>(frame: *const OpaqueFrame) -> Option<&'a Self> {
        // SAFETY: null, or a live `NmiFrame` (contract of this function).
        unsafe { frame.cast::<Self>().as_ref() }
    }
}
