// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's NMI line, which rings every CPU that is open for it, and the two handlers behind
//! it.
//!
//! One expiry of the card is one condition and an edge on each open CPU. The condition is the
//! card's timeout bit, which one CPU claims, in the card's handler: a Platform handler, since the
//! card belongs to the machine. It says which CPUs are open, so the library explains one edge on
//! each of the others by that claim. It absorbs the edge if it finds the bit cleared. If the
//! claiming CPU still polls, it defers the edge until a later poll shows what it was.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use latchwork::{
    Claim, Class, Doorbell, EdgeModel, HandlerSpec, NmiContext, NmiHandler, PlatformDelivery,
    Registration,
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

/// One CPU's end of the line.
#[repr(align(64))]
struct End {
    /// Whether the CPU lets the line in. That CPU's thread writes it while the card is stopped.
    open: AtomicBool,
    /// When the last NMI came, in ticks; 0 if none since the card was started. Writers: that CPU's
    /// NMI; CPU 0 before it starts the card.
    arrived_ticks: AtomicU64,
}

static ENDS: [End; MAX_CPUS] =
    [const { End { open: AtomicBool::new(false), arrived_ticks: AtomicU64::new(0) } }; MAX_CPUS];

/// How often the timeout bit was claimed.
static CLAIMS: Tally = Tally::new();

/// A Local handler, which the library asks first: notes the time, and explains nothing.
struct Watcher;
static WATCHER: Watcher = Watcher;

// SAFETY: touches atomics in statics, and sends wake-ups.
unsafe impl NmiHandler for Watcher {
    fn handle(&self, ctx: &NmiContext<'_>) -> Claim {
        if let Some(end) = ENDS.get(ctx.cpu()) {
            end.arrived_ticks.store(ctx.arrived_ticks().max(1), Ordering::Release);
            sleepers::wake_all();
        }
        Claim::None
    }
}

/// A Platform handler, which one CPU at a time asks: claims the card's timeout bit.
struct CardHandler;
static CARD_HANDLER: CardHandler = CardHandler;

// SAFETY: touches an atomic in a static and the card's registers, which no thread changes while the
// card can expire.
unsafe impl NmiHandler for CardHandler {
    fn handle(&self, _: &NmiContext<'_>) -> Claim {
        match CARD.get() {
            Some(card) if card.has_expired() => {
                if !KEEP_EXPIRED.load(Ordering::Relaxed) {
                    card.clear_expired();
                }
                CLAIMS.add(1);
                Claim::Handled
            }
            _ => Claim::None,
        }
    }
}

/// Registers both handlers: the watcher, and the card's, whose line is open nowhere.
pub(super) fn register() -> [Registration; 2] {
    const LINE: Doorbell = Doorbell::Platform(0);
    const EDGES: EdgeModel = EdgeModel::PerCondition;
    let watcher = HandlerSpec::new("card-watcher", Class::Local, LINE, EDGES);
    let card = HandlerSpec::new("card", Class::Platform, LINE, EDGES);
    [
        nmi::register_as(&watcher, &WATCHER),
        nmi::register_as(&card.delivery(PlatformDelivery::Cpus(&[])), &CARD_HANDLER),
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

/// Forgets when NMIs came. CPU 0, while no NMI can come.
pub(super) fn start_over() {
    for end in &ENDS {
        end.arrived_ticks.store(0, Ordering::Relaxed);
    }
}

/// Claims of the timeout bit so far.
pub(super) fn claims() -> u64 {
    CLAIMS.get()
}
