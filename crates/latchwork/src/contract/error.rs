// SPDX-License-Identifier: MIT OR Apache-2.0
//! Errors of more than one room, and of the kernel.

use core::{error::Error, fmt};

/// The calling CPU is in an NMI, or inside dispatch, and what it asked for would wait for itself.
/// An [`Nmi`](crate::Nmi) knows of those that it dispatches itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InDispatch {
    /// That CPU.
    pub cpu: usize,
}

impl fmt::Display for InDispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CPU {} is in an NMI and would wait for itself", self.cpu)
    }
}

impl Error for InDispatch {}

/// What is wrong with a handle that names no handler here.
pub(crate) const STALE_HANDLE: &str =
    "stale handle: its handler was removed, or is another subsystem's";

/// The platform could not ring a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingError {
    /// It does not know how to reach it, for instance because it never came up.
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
    /// A pinned handler was dropped in an NMI or inside dispatch, where nobody can wait until it is
    /// no longer in use. Drop it in ordinary context.
    PinnedDroppedInDispatch {
        /// The CPU on which that happened.
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
