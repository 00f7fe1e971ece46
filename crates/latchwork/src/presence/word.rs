// SPDX-License-Identifier: MIT OR Apache-2.0
//! The presence word: whether a CPU takes part.
//!
//! ```text
//! NotStarted ──it runs──► Online ──goes, or is marked──► Offline ──comes──► Online
//!      └──────────goes, or is marked──────────────────────▲
//! ```
//!
//! Other CPUs make no difference between a CPU that was never started and one that is offline. The
//! CPU itself does: it comes online by itself where it shows that it runs, if nobody took it
//! offline.
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

use crate::primitive::{AtomicUsize, Ordering, const_unless_loom};

const NOT_STARTED: usize = 0;
const ONLINE: usize = 1;
const OFFLINE: usize = 2;

/// Whether a CPU is online. At first it is not started.
#[derive(Debug)]
pub(crate) struct Presence {
    state: AtomicUsize,
}

impl Presence {
    const_unless_loom! {
        pub(crate) fn new() -> Self {
            Self { state: AtomicUsize::new(NOT_STARTED) }
        }
    }

    /// Whether this CPU dispatches the NMI in which it calls this without ado.
    #[inline(always)]
    pub(crate) fn is_online_here(&self) -> bool {
        self.state.load(Ordering::Relaxed) == ONLINE
    }

    /// Own CPU: whether it has not come online yet, and no CPU has taken it offline.
    pub(crate) fn is_not_started(&self) -> bool {
        self.state.load(Ordering::Relaxed) == NOT_STARTED
    }

    /// Whether the CPU is offline, or was never started. From anywhere, or on the CPU itself in
    /// ordinary context.
    pub(crate) fn is_away(&self) -> bool {
        self.state.load(Ordering::Acquire) != ONLINE
    }

    /// The CPU itself, outside dispatch.
    pub(crate) fn go_away(&self) {
        self.state.swap(OFFLINE, Ordering::AcqRel);
    }

    /// Another CPU, after it has reset what this one left behind.
    pub(crate) fn mark_away(&self) {
        self.state.store(OFFLINE, Ordering::Release);
    }

    /// The CPU itself, after it has emptied its mailbox, or where that was never filled.
    pub(crate) fn come_back(&self) {
        self.state.store(ONLINE, Ordering::Release);
    }
}
