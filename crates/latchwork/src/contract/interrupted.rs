// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an NMI interrupted, as the entry code hands it over.

use core::marker::PhantomData;

/// The saved registers as the entry code laid them out. Only the crate that owns the entry code
/// knows the layout.
#[repr(C)]
#[derive(Debug)]
pub struct OpaqueFrame {
    _private: [u8; 0],
    _not_send: PhantomData<*mut ()>,
}

/// Where the interrupted code ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In a user program.
    User,
    /// In the kernel.
    Kernel,
}

/// The sources that rang, as FRED's NMI-source reporting gives them: a 16-bit bitmap.
///
/// Source: Intel FRED specification, chapter "NMI-source reporting"; CPUID.(EAX=7,ECX=1):EAX\[20\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceMap(u16);

impl SourceMap {
    /// Bit 0: a source that named no valid vector rang, so dispatch must ask every handler.
    const UNIDENTIFIED: u16 = 1 << 0;
    /// Bit 2: vector 2 rang, which is what chipsets send.
    const EXTERNAL: u16 = 1 << 2;

    /// The bitmap as delivered.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The bitmap as delivered.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether the bitmap says that a machine-wide source may have rung.
    #[must_use]
    pub const fn may_be_platform(self) -> bool {
        self.0 & (Self::UNIDENTIFIED | Self::EXTERNAL) != 0
    }
}

/// What an NMI interrupted, as the entry code hands it to [`Nmi::dispatch`](crate::Nmi::dispatch).
#[derive(Clone, Copy, Debug)]
pub struct Interrupted {
    /// Instruction pointer.
    pub ip: usize,
    /// Stack pointer.
    pub sp: usize,
    /// Frame pointer register, whether or not the interrupted code used it as one.
    pub fp: usize,
    /// User or kernel.
    pub mode: Mode,
    /// All saved registers, for code that knows the layout.
    pub frame: *const OpaqueFrame,
    /// The NMI-source bitmap, where the CPU reports one.
    pub sources: Option<SourceMap>,
}

impl Interrupted {
    /// Nothing: a CPU asks handlers outside an NMI.
    pub(crate) const NOWHERE: Self =
        Self { ip: 0, sp: 0, fp: 0, mode: Mode::Kernel, frame: core::ptr::null(), sources: None };
}
