// SPDX-License-Identifier: MIT OR Apache-2.0
//! The election of the one CPU that ends the kernel, when several CPUs take NMIs that nothing
//! explains at the same time: the NMI of a button, or of a machine error, reaches all of them.
//!
//! It matters if the policy is to panic. One exchange elects one CPU, and on that CPU alone the
//! library has [`Platform::after_leave`](crate::Platform::after_leave) panic. On every other CPU
//! whose NMI nothing explains meanwhile, it has `after_leave` stop the CPU, as for a
//! [`Request::Stop`](crate::Request::Stop): such a CPU must not go back to code that the elected
//! CPU believes at rest. Only the kernel can make it wait, since dispatch waits for no CPU, and a
//! kernel that dumps its memory wants something of each CPU that has stopped.
//!
//! An NMI that nothing explains, on top of the elected CPU's own panic, does nothing: the CPU goes
//! back to that panic.
//!
//! A kernel that goes on all the same returns from `after_leave` on the elected CPU. Then the
//! library may elect the next CPU.
//!
//! # Orderings
//!
//! *Writers*: CPUs that stand for election, after they have left the read side, by one exchange;
//! the elected CPU, when it has come back; and, about an elected CPU that executes nothing any
//! more, the CPU that marks it offline. *Readers*: any CPU. The exchange is Acquire, and the end
//! Release: the CPU that is elected next sees what the former one did, and so does a CPU that sees
//! that none is elected any more.

use crate::primitive::{AtomicUsize, Ordering, const_unless_loom};

const NOBODY: usize = 0;

/// The CPU that ends the kernel: its number plus one.
#[derive(Debug)]
pub(crate) struct PanicElection {
    elected: AtomicUsize,
}

/// How an election ended for one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elected {
    ThisOne,
    /// Before, in an NMI underneath this one.
    ThisOneBefore,
    Another,
}

impl PanicElection {
    const_unless_loom! {
        pub(crate) fn new() -> Self { Self { elected: AtomicUsize::new(NOBODY) } }
    }

    pub(super) fn stand(&self, cpu: usize) -> Elected {
        let this_one = cpu.wrapping_add(1);
        let elected =
            self.elected.compare_exchange(NOBODY, this_one, Ordering::AcqRel, Ordering::Acquire);
        match elected {
            Ok(_) => Elected::ThisOne,
            Err(cpu) if cpu == this_one => Elected::ThisOneBefore,
            Err(_) => Elected::Another,
        }
    }

    /// Ends the election: the elected CPU has come back.
    pub(super) fn end(&self) {
        self.elected.store(NOBODY, Ordering::Release);
    }

    /// Ends the election of `cpu`, which executes nothing any more. The caller has seen all that it
    /// did.
    pub(crate) fn abandon(&self, cpu: usize) {
        if self.elected() == Some(cpu) {
            self.end();
        }
    }

    pub(super) fn elected(&self) -> Option<usize> {
        self.elected.load(Ordering::Acquire).checked_sub(1)
    }
}
