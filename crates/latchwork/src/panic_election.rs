// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which CPU ends the kernel, where several take NMIs that nothing explains at the same time: a
//! button's, or a machine error's, reaches all of them.
//!
//! The policy is to panic. One CPU is elected, by one exchange, and
//! [`Platform::after_leave`](crate::Platform::after_leave) is told there alone that it is to. Every
//! other CPU whose NMI nothing explains meanwhile is told to stop there, as by a
//! [`Request::Stop`](crate::Request::Stop): it must not go back to code that the elected CPU
//! believes at rest, and only the kernel can have it wait, since dispatch waits for nobody and a
//! kernel that dumps its memory wants something of each CPU that has stopped.
//!
//! An NMI that nothing explains on top of the elected CPU's own panic does nothing: it goes back to
//! that.
//!
//! A kernel that goes on all the same returns from `after_leave` on the elected CPU. Then the next
//! one may be elected.
//!
//! # Orderings
//!
//! *Writers*: CPUs that stand for it, after they have left the read side, by one exchange; the
//! elected one, when it has come back; and, about one that executes nothing any more, whoever knows
//! that. *Readers*: anybody. The exchange is Acquire, and the end Release: who is elected next sees
//! what the former one did, and so does who sees that nobody is elected any more.

use crate::{
    after_leave::AfterLeave,
    context::NmiContext,
    nmi::Nmi,
    platform::Platform,
    primitive::{AtomicUsize, Ordering, const_unless_loom},
};

const NOBODY: usize = 0;

/// The CPU that ends the kernel: its number plus one.
#[derive(Debug)]
pub(crate) struct PanicElection {
    elected: AtomicUsize,
}

/// How it went for one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Elected {
    ThisOne,
    /// Before, in an NMI underneath this one.
    ThisOneBefore,
    Another,
}

impl PanicElection {
    const_unless_loom! {
        pub(crate) fn new() -> Self { Self { elected: AtomicUsize::new(NOBODY) } }
    }

    fn stand(&self, cpu: usize) -> Elected {
        let this_one = cpu.wrapping_add(1);
        let elected =
            self.elected.compare_exchange(NOBODY, this_one, Ordering::AcqRel, Ordering::Acquire);
        match elected {
            Ok(_) => Elected::ThisOne,
            Err(cpu) if cpu == this_one => Elected::ThisOneBefore,
            Err(_) => Elected::Another,
        }
    }

    /// The elected CPU has come back.
    fn end(&self) {
        self.elected.store(NOBODY, Ordering::Release);
    }

    /// `cpu` executes nothing any more. The caller has seen all that it did.
    pub(crate) fn abandon(&self, cpu: usize) {
        if self.elected() == Some(cpu) {
            self.end();
        }
    }

    fn elected(&self) -> Option<usize> {
        self.elected.load(Ordering::Acquire).checked_sub(1)
    }
}

impl<P: Platform> Nmi<P> {
    /// The CPU on which [`Platform::after_leave`] was told to
    /// [panic](AfterLeave::panic_on_unknown) and has not returned. **NMI-safe.**
    ///
    /// For a kernel that may go on after that: a CPU that
    /// [panics elsewhere](AfterLeave::panics_elsewhere) waits until there is none.
    pub fn panicking_cpu(&self) -> Option<usize> {
        self.core.panic.elected()
    }

    /// Calls the platform for what waited for this CPU to leave. At depth 0, in an NMI or not.
    pub(crate) fn after_leave(&self, ctx: &NmiContext<'_>, due: AfterLeave) {
        if !due.panic_on_unknown() {
            return self.platform.after_leave(ctx, due);
        }
        match self.core.panic.stand(ctx.cpu) {
            Elected::ThisOne => {
                self.platform.after_leave(ctx, due);
                self.core.panic.end();
            }
            Elected::ThisOneBefore => {
                if let Some(rest) = due.without_panic() {
                    self.platform.after_leave(ctx, rest);
                }
            }
            Elected::Another => self.platform.after_leave(ctx, due.with_panic_elsewhere()),
        }
    }
}
