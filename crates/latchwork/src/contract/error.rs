// SPDX-License-Identifier: MIT OR Apache-2.0
//! Errors that several parts of the library return, and those that end the kernel.

use core::{error::Error, fmt};

/// The calling CPU is in an NMI or inside dispatch, and the call would make it wait for itself. An
/// [`Nmi`](crate::Nmi) knows only of the NMIs that it dispatches itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InDispatch {
    /// The calling CPU.
    pub cpu: usize,
}

impl fmt::Display for InDispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CPU {} is in an NMI and would wait for itself", self.cpu)
    }
}

impl Error for InDispatch {}

/// Says that a handle names no handler of this subsystem.
pub(crate) const STALE_HANDLE: &str =
    "stale handle: its handler was removed, or is another subsystem's";

/// The platform could not ring a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingError {
    /// The platform does not know how to reach the CPU, for instance because it never came up.
    Unreachable,
    /// The interrupt controller stayed busy for longer than it ever should.
    Busy,
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "the CPU cannot be reached",
            Self::Busy => "the interrupt controller stayed busy",
        })
    }
}

impl Error for RingError {}

/// Why the kernel cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fatal {
    /// A CPU dropped a pinned handler in an NMI or inside dispatch, where it cannot wait until no
    /// CPU uses the handler any more. Drop it in ordinary context.
    PinnedDroppedInDispatch {
        /// The CPU that dropped the handler.
        cpu: usize,
    },
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PinnedDroppedInDispatch { cpu } => {
                write!(f, "a pinned NMI handler was dropped on CPU {cpu} inside an NMI")
            }
        }
    }
}
