// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's NMI line, which rings every CPU that is open for it, and the two handlers behind it.
//!
//! One expiry of the card is one condition and an edge on each open CPU. The condition is the card's timeout bit, which one CPU
//! claims, in the card's handler: a Platform handler, since the card belongs to the machine. Before it clears the bit, it owes every
//! other open CPU an *echo*: permission to explain one edge. So every edge is explained by the bit, or by an echo of it, once.
//!
//! A CPU whose edge comes while another CPU asks the Platform handlers is not let in and is deferred by the library; its echo is left
//! over. It is taken back before the card is started again, and counted.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use latchwork::{
    Claim, Class, Doorbell, EdgeModel, HandlerSpec, NmiContext, NmiHandler, Registration,
};

use crate::cpu::MAX_CPUS;
use crate::device::watchdog_card::Card;
use crate::nmi;
use crate::once::Once;
use crate::scenario::{Tally, sleepers};

/// The card. Set before the handlers are registered.
pub(super) static CARD: Once<Card> = Once::new();

/// The fault `no-clear`. Written before the handlers are registered.
pub(super) static KEEP_EXPIRED: AtomicBool = AtomicBool::new(false);

/// What one CPU has to do with the line.
#[repr(align(64))]
struct End {
    /// The line is let in. Written by that CPU's thread while the card is stopped.
    open: AtomicBool,
    /// When the last NMI came, in ticks; 0 if none since the card was started. Writers: that CPU's NMI; CPU 0 before it starts the card.
    arrived_ticks: AtomicU64,
    /// Echoes owed to this CPU so far. Writers: other CPUs, one at a time, since the library asks Platform handlers so. Release, before
    /// the timeout bit is cleared.
    owed: AtomicU64,
    /// Echoes used or taken back. Writers: this CPU's NMI; CPU 0 while the card is stopped.
    spent: AtomicU64,
}

static ENDS: [End; MAX_CPUS] = [const {
    End {
        open: AtomicBool::new(false),
        arrived_ticks: AtomicU64::new(0),
        owed: AtomicU64::new(0),
        spent: AtomicU64::new(0),
    }
}; MAX_CPUS];

/// How often the timeout bit was claimed, and edges that an echo explained.
static CLAIMS: Tally = Tally::new();
static ECHOES: Tally = Tally::new();

impl End {
    /// Explains this CPU's edge by an echo that is owed to it, if there is one. That CPU's NMI.
    fn spend_echo(&self) -> Claim {
        let spent = self.spent.load(Ordering::Relaxed);
        if spent == self.owed.load(Ordering::Acquire) {
            return Claim::None;
        }
        self.spent.store(spent.wrapping_add(1), Ordering::Relaxed);
        ECHOES.add(1);
        Claim::Handled
    }
}

/// Asked first, on the CPU's own account: notes the time, and knows the echoes that are owed to it.
struct EchoHandler;
static ECHO_HANDLER: EchoHandler = EchoHandler;

// SAFETY: touches atomics in statics, and sends wake-ups.
unsafe impl NmiHandler for EchoHandler {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        let Some(end) = ENDS.get(ctx.cpu()) else {
            return Claim::None;
        };
        end.arrived_ticks.store(ctx.arrived_ticks().max(1), Ordering::Release);
        sleepers::wake_all();
        end.spend_echo()
    }
}

/// Asked for the machine, one CPU at a time: claims the card's timeout bit.
struct CardHandler;
static CARD_HANDLER: CardHandler = CardHandler;

// SAFETY: touches atomics in statics and the card's registers, which no thread changes while the card can expire.
unsafe impl NmiHandler for CardHandler {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        let (Some(card), Some(end)) = (CARD.get(), ENDS.get(ctx.cpu())) else {
            return Claim::None;
        };
        if !card.has_expired() {
            // Another CPU may have claimed the bit since this one looked for an echo.
            return end.spend_echo();
        }
        for (cpu, other) in ENDS.iter().enumerate() {
            if cpu != ctx.cpu() && other.open.load(Ordering::Relaxed) {
                other.owed.fetch_add(1, Ordering::Release);
            }
        }
        if !KEEP_EXPIRED.load(Ordering::Relaxed) {
            card.clear_expired();
        }
        CLAIMS.add(1);
        Claim::Handled
    }
}

/// Registers both handlers.
pub(super) fn register() -> [Registration; 2] {
    const LINE: Doorbell = Doorbell::Platform(0);
    const EDGES: EdgeModel = EdgeModel::PerEvent { late_us: 1_000, max_late_edges: 1 };
    [
        nmi::register_as(&HandlerSpec::new("card-echo", Class::Local, LINE, EDGES), &ECHO_HANDLER),
        nmi::register_as(&HandlerSpec::new("card", Class::Platform, LINE, EDGES), &CARD_HANDLER),
    ]
}

/// Notes whether `cpu` lets the line in. That CPU's thread.
pub(super) fn set_open(cpu: usize, open: bool) {
    ENDS[cpu].open.store(open, Ordering::Relaxed);
}

/// Whether `cpu` lets the line in.
pub(super) fn is_open(cpu: usize) -> bool {
    ENDS[cpu].open.load(Ordering::Relaxed)
}

/// When the last NMI came to `cpu` since [`start_over`].
pub(super) fn arrived_ticks(cpu: usize) -> Option<u64> {
    match ENDS[cpu].arrived_ticks.load(Ordering::Acquire) {
        0 => None,
        ticks => Some(ticks),
    }
}

/// Forgets when NMIs came, and takes back the echoes that were not used; says how many. CPU 0, while no NMI can come.
pub(super) fn start_over() -> u64 {
    let mut left_over = 0;
    for end in &ENDS {
        end.arrived_ticks.store(0, Ordering::Relaxed);
        let owed = end.owed.load(Ordering::Acquire);
        left_over += owed - end.spent.swap(owed, Ordering::Relaxed);
    }
    left_over
}

/// Claims of the timeout bit so far, and edges that echoes of it explained.
pub(super) fn claims_and_echoes() -> (u64, u64) {
    (CLAIMS.get(), ECHOES.get())
}
