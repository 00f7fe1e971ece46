// SPDX-License-Identifier: MIT OR Apache-2.0
//! The presence word: whether a CPU takes part.
//!
//! # Orderings
//!
//! *Writers*: the CPU itself, in ordinary context; and, about a CPU that executes nothing, the CPU
//! that marks it. *Readers*: the CPU itself at each NMI, and senders on any CPU.
//!
//! * The CPU's own NMIs read it with Relaxed: they see what this CPU stored before them in program
//!   order, and what another CPU stored before it started this one.
//! * `go_away` is an exchange, so that nothing after it moves before it: from then on this CPU
//!   turns its NMIs away. `come_back` is a Release store, paired with the Acquire of senders. A
//!   sender that sees the CPU online sees what that CPU did before. So it sends to a mailbox that
//!   the CPU has emptied, and the CPU does not drop the request with the old ones.
//! * `mark_away` is Release, paired with the Acquire of `is_away` in
//!   [`Nmi::come_online`](crate::Nmi::come_online): the CPU returns with everything reset.
//! * Removers do not look at it. A CPU that goes away has depth 0, or the CPU that marks it sets
//!   that, and while it is away it never raises it. A CPU that is back announces its next dispatch
//!   as ever.
//!
//! It lies in the line to which senders store, not in the CPU's own: a sender reads it before each
//! send, and would pull the own line away from the CPU each time. The CPU itself looks at the
//! senders' line at each NMI anyway, for its requests.

use crate::primitive::{AtomicBool, Ordering, const_unless_loom};

/// Whether a CPU is offline. At first it is not.
#[derive(Debug)]
pub(crate) struct Presence {
    away: AtomicBool,
}

impl Presence {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self { away: AtomicBool::new(false) }
        }
    }

    /// Whether this CPU turns away the NMI in which it calls this.
    #[inline(always)]
    pub(crate) fn turns_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// From anywhere, or on the CPU itself in ordinary context.
    pub(crate) fn is_away(&self) -> bool {
        self.away.load(Ordering::Acquire)
    }

    /// The CPU itself, outside dispatch.
    pub(crate) fn go_away(&self) {
        self.away.swap(true, Ordering::AcqRel);
    }

    /// Another CPU, after it has reset what this one left behind.
    pub(crate) fn mark_away(&self) {
        self.away.store(true, Ordering::Release);
    }

    /// The CPU itself, after it has emptied its mailbox.
    pub(crate) fn come_back(&self) {
        self.away.store(false, Ordering::Release);
    }
}
